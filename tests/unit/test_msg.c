/* SPDX-License-Identifier: Apache-2.0
 *
 * test_msg.c: every type of message, good and bad in each field, and the order of the checks.
 *
 * Samples are written as JSON with ' for " and the placeholders @G (grid), @A (author), @H (64 hex
 * digits), @D (a digest), @N (32 hex digits), @B (a blob descriptor). A test takes one, breaks it
 * in one place, signs it with seal() alone (which looks at nothing) and opens it.
 */
#include "common/msg.h"
#include "tests/unit/vectors.h"

#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 HEX32 HEX32
#define BLOB "{'digest':'@D','size':1,'pieces_root':'@H'}"
#define EPOCH ",'epoch':{'counter':3,'id':'@N'}"
#define HEADER(type)                                                                               \
	"{'v':1,'type':'" type "','grid':'@G','author':'@A','time':1700000000000,'crit':['v']"

static const struct {
	const char *name, *json;
} samples[N_MSG_TYPES] = {
	[MSG_GRID] = { "grid",
		HEADER("grid") ",'serial':1,'expires':5,'name':'g','about':'','contact':'',"
			       "'keys':[{'id':'@H','roles':['coordinator','admin'],'from':0,'until'"
	                       ":9}],'protocols':[1],'features':['x'],"
			       "'addresses':['h:1'],'revoked':['@H'],'sealing':'PEM'}" },
	[MSG_JOB] = { "job",
		HEADER("job") ",'nonce':'@N','name':'j','programs':[{'platform':'x86_64-linux','"
	                      "name':'p',"
			      "'blob':@B}],'profile':'files','args':['{index}'],'tasks':{'range':{'"
	                      "count':3},'list':{'blob':@B,'count':2},"
			      "'product':[{'name':'a','values':['1']}]},'files':[{'name':'f','blob'"
	                      ":@B}],'outputs':['*'],"
			      "'limits':{'cpu_s':1,'wall_s':1,'memory_mib':1,'disk_mib':1,'max_"
	                      "output_mib':1,'processes':1},'threads':1,"
			      "'assurance':'quorum:2','max_results':4,'compare':'exact','"
	                      "deterministic':true,'platform_class':'any',"
			      "'priority':0,'max_failures':1,'bits':['jit'],'deadline':1,'expires':"
	                      "1,'price':1}" },
	[MSG_CANCEL] = { "cancel", HEADER("cancel") ",'job':'@H'}" },
	[MSG_TICKET] = { "ticket", HEADER("ticket") ",'digest':'@D','size':7}" },
	[MSG_ASK] = { "ask",
		HEADER("ask") ",'seq':4,'want':1,'held':['@N'],'returned':[{'lease':'@N','why':'"
	                      "full'}],"
			      "'wait_ms':0,'slots':1,'cpus':1,'memory_mib':1,'disk_mib':1,'"
	                      "profiles':['compute'],'platform':'x86_64-linux',"
			      "'platform_class':'x86_64-v3','agent':'talkoot "
	                      "0.1','address':'h:1','state':'run'}" },
	[MSG_LEASE] = { "lease",
		HEADER("lease") EPOCH ",'worker':'@H','job':'@H',"
				      "'leases':[{'id':'@N','index':0,'ttl_ms':60000}],'now':1}" },
	[MSG_RESULT] = { "result",
		"{'_type':'https://in-toto.io/Statement/v1','subject':[{'name':'0/stdout',"
		"'digest':{'sha256':'@H'},'annotations':{'size':1,'pieces_root':'@H'}}],"
		"'predicateType':'urn:talkoot:result:v1','predicate':" HEADER(
			"result") ",'job':'@H','policy':'@D',"
				  "'platform':'x86_64-linux','platform_class':'x86_64-v3','agent':'"
	                          "a','results':[{'index':0,'lease':'@N',"
				  "'outcome':'@D','exit':0,'signal':0,'reason':'exited','cpu_ms':1,"
	                          "'wall_ms':1,'rss_kib':1,"
				  "'stderr':{'digest':'@D','size':1}}]}}" },
	[MSG_ACK] = { "ack",
		HEADER("ack") EPOCH ",'of':'@D','now':1,'outcomes':['received'],'renewed':['@N'],"
				    "'ended':[{'lease':'@N','why':'expired'}],'next_ms':100}" },
	[MSG_VERDICT] = { "verdict", HEADER("verdict") EPOCH
		",'job':'@H','tasks':[{'index':0,'state':'valid','outcome':'@D',"
		"'class':'quorum:2','basis':'agreement','counted':[{'envelope':'@D','pos':0}],'"
	        "dissent':[{'envelope':'@D',"
		"'pos':0}],'late':[{'envelope':'@D','pos':0}],'why':'x'}]}" },
	[MSG_QUERY] = { "query", HEADER("query") ",'seq':1,'what':'task','job':'@H','index':0}" },
	[MSG_ANSWER] = { "answer", HEADER("answer") EPOCH ",'of':'@D','now':1,'body':{'x':1}}" },
	[MSG_PEER] = { "peer",
		HEADER("peer") ",'seq':4,'addresses':['192.0.2.1:1'],'slots':1,'profiles':['compute'],"
			       "'platform':'x86_64-linux','platform_class':'x86_64-v3','relay':false,"
			       "'admission':'x','expires':1}" },
	[MSG_ANNOUNCE] = { "announce",
		HEADER("announce") ",'seq':4,'of':'@D','over':false,'expires':1}" },
};

/* Fields that may be absent: what docs/protocol.md calls optional. */
static const char *const optional[] = { "crit", "sealing", "max_failures", "bits", "deadline",
	"expires", "price", "address", "stderr", "outcomes", "renewed", "ended", "next_ms", "why",
	"index", "range", "list", "product", "epoch", "seq", "admission" };

static struct key *key, *other;
static struct id grid;

static int make_keys(void **state)
{
	(void)state;
	key = key_new();
	other = key_new();
	grid = *key_id(other);
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	key_free(key);
	key_free(other);
	return 0;
}

static json_t *sample(enum msg_type type)
{
	char g[ID_TEXT + 1], a[ID_TEXT + 1];
	auto_buf struct buf b = { 0 };
	struct err e;

	id_text(g, &grid);
	id_text(a, key_id(key));
	for (const char *c = samples[type].json; *c; c++) {
		if (*c == '@' && c[1] == 'B') {
			buf_text(&b, "{\"digest\":\"sha256:" HEX64
				     "\",\"size\":1,\"pieces_root\":\"" HEX64 "\"}");
			c++;
		} else if (*c == '@') {
			c++;
			buf_text(&b, *c == 'G'   ? g
				     : *c == 'A' ? a
				     : *c == 'H' ? HEX64
				     : *c == 'D' ? "sha256:" HEX64
						 : HEX32);
		} else {
			buf_add(&b, *c == '\'' ? "\"" : c, 1);
		}
	}
	json_t *j = shape_load(b.data, b.len, &e);

	if (!j)
		fail_msg("%s: %s", samples[type].name, e.msg);
	return j;
}

static json_t *body_of(enum msg_type type, json_t *whole)
{
	return type == MSG_RESULT ? json_object_get(whole, "predicate") : whole;
}

static char *sealed_text(enum msg_type type, const char *text, size_t n)
{
	return seal(key, type == MSG_RESULT ? SEAL_STATEMENT : SEAL_MESSAGE, text, n);
}

static char *sealed(enum msg_type type, const json_t *whole)
{
	auto_free char *text = shape_dump(whole);

	return sealed_text(type, text, strlen(text));
}

/* Open what `whole` is when sealed: 0, or the code. */
static enum err_code opens(enum msg_type type, const json_t *whole, struct err *e)
{
	auto_free char *line = sealed(type, whole);
	struct msg m;

	*e = (struct err){ 0 };
	if (msg_open(&m, line, strlen(line), &grid, e))
		return e->code;
	assert_int_equal(m.type, type);
	msg_release(&m);
	return ERR_NONE;
}

static void a_good_message_of_every_type_round_trips(void **state)
{
	(void)state;
	for (int type = 0; type < N_MSG_TYPES; type++) {
		auto_json json_t *j = sample((enum msg_type)type);
		auto_free char *line = sealed((enum msg_type)type, j);
		struct msg m;
		struct err e;

		if (msg_open(&m, line, strlen(line), &grid, &e))
			fail_msg("%s: %s", samples[type].name, e.msg);
		assert_int_equal(m.type, type);
		assert_string_equal(msg_type_name(m.type), samples[type].name);
		assert_true(id_equal(&m.grid, &grid));
		assert_true(id_equal(&m.author, key_id(key)));
		assert_true(m.time_ms == 1700000000000);
		assert_true(json_equal(m.body, body_of((enum msg_type)type, j)));
		assert_int_equal(m.statement != NULL, type == MSG_RESULT);
		assert_int_equal(m.line_len, strlen(line));
		assert_string_equal(m.line, line);
		struct digest d = digest_of(line, strlen(line));
		assert_true(digest_equal(&d, &m.sealed.digest));
		bool fourth = type == MSG_ASK || type == MSG_PEER || type == MSG_ANNOUNCE;
		assert_int_equal(m.seq, fourth ? 4 : type == MSG_QUERY ? 1 : 0);
		bool epoch = type == MSG_LEASE || type == MSG_ACK || type == MSG_VERDICT ||
		             type == MSG_ANSWER;
		assert_int_equal(m.epoch.counter, epoch ? 3 : 0);
		assert_string_equal(m.epoch.id, epoch ? HEX32 : "");
		msg_release(&m);
		msg_release(&m); /* twice does no harm */
	}
}

static void what_msg_seal_takes_opens_and_what_it_refuses_is_named(void **state)
{
	(void)state;
	for (int type = 0; type < N_MSG_TYPES; type++) {
		auto_json json_t *j = sample((enum msg_type)type);
		json_t *body = body_of((enum msg_type)type, j);
		json_t *subject = type == MSG_RESULT ? json_object_get(j, "subject") : NULL;
		struct msg m;
		struct err e;
		char *line;

		assert_int_equal(
			msg_seal(&line, json_incref(body), json_incref(subject), key, &e), 0);
		assert_int_equal(msg_open(&m, line, strlen(line), &grid, &e), 0);
		free(line);
		msg_release(&m);
		json_object_set_new(body, "time", json_integer(-1));
		assert_int_equal(
			msg_seal(&line, json_incref(body), json_incref(subject), key, &e), -1);
		assert_null(line);
		assert_string_equal(e.field, "time");
	}
}

static void a_payload_that_could_not_be_made_is_an_error_not_a_crash(void **state)
{
	(void)state;
	json_t *broken = msg_new(MSG_CANCEL, &grid, key_id(key), 1);
	struct err e;
	char *line;

	/* what happens when a caller hands bytes that are not UTF-8 to jansson */
	assert_int_equal(json_object_set_new(broken, "job", json_string("\xff")), -1);
	assert_int_equal(msg_seal(&line, broken, NULL, key, &e), -1);
	assert_string_equal(e.field, "job");
	assert_int_equal(msg_seal(&line, json_pack("{s:s}", "a", "\xff"), NULL, key, &e), -1);
	assert_null(line);
	assert_int_equal(msg_seal(&line, NULL, json_array(), key, &e), -1);
	assert_null(line);
	assert_int_equal(
		msg_seal(&line, msg_new(MSG_RESULT, &grid, key_id(key), 1), NULL, key, &e), -1);
	assert_int_equal(
		msg_seal(&line, msg_new(MSG_CANCEL, &grid, key_id(key), 1), json_array(), key, &e),
		-1);
	struct epoch epoch = { 1, "\xff" };
	assert_int_equal(msg_seal(&line, msg_new_epoch(MSG_ACK, &grid, key_id(key), 1, &epoch),
				 NULL, key, &e),
		-1);
	assert_int_equal(e.code, ERR_FIELD);
}

/* --- every field, broken ---------------------------------------------------------------------- */

struct walk {
	enum msg_type type;
	json_t *whole;
	int tried;
};

static void expect_field(struct walk *w, const char *path, const char *how)
{
	struct err e;

	if (opens(w->type, w->whole, &e) != ERR_FIELD || strcmp(e.field, path) != 0)
		fail_msg("%s: %s %s gives \"%s\": %s", samples[w->type].name, path, how, e.field,
			e.msg);
	w->tried++;
}

static bool may_be_absent(enum msg_type type, const char *path, const char *name)
{
	static const char *const here[][2] = { { "grid", "expires" }, { "lease", "epoch" },
		{ "ack", "epoch" }, { "verdict", "epoch" }, { "answer", "epoch" }, { "ask", "seq" },
		{ "query", "seq" }, { "peer", "seq" }, { "announce", "seq" }, { "peer", "expires" },
		{ "announce", "expires" } };

	for (size_t i = 0; i < ARRAY_LEN(here); i++)
		if (!strcmp(samples[type].name, here[i][0]) && !strcmp(name, here[i][1]))
			return false;
	if (!strcmp(name, "index") && type != MSG_QUERY)
		return false;
	if (!strcmp(name, "why") && type != MSG_VERDICT)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(optional); i++)
		if (!strcmp(name, optional[i]))
			return true;
	/* a program of an image has a path instead, a file may come from another job */
	return type == MSG_JOB && !strcmp(name, "blob") &&
	       (!strncmp(path, "programs[", 9) || !strncmp(path, "files[", 6));
}

/* Put values of every other type in the place of `old`, by `set`. */
static void each_wrong_type(
	struct walk *w, json_t *old, const char *path, void (*set)(void *, json_t *), void *arg)
{
	json_t *values[] = { json_null(), json_true(), json_integer(1), json_string("x"),
		json_object(), json_array() };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		bool boolean = json_is_boolean(old) && json_is_boolean(values[i]);

		if (json_typeof(old) != json_typeof(values[i]) && !boolean) {
			set(arg, values[i]);
			expect_field(w, path, "of a wrong type");
		}
		json_decref(values[i]);
	}
	set(arg, old);
}

struct place {
	json_t *in;
	const char *name;
	size_t index;
};

static void set_member(void *arg, json_t *value)
{
	struct place *p = arg;

	json_object_set(p->in, p->name, value);
}

static void set_element(void *arg, json_t *value)
{
	struct place *p = arg;

	json_array_set(p->in, p->index, value);
}

static void break_all(struct walk *w, json_t *j, const char *path);

static void break_members(struct walk *w, json_t *o, const char *path)
{
	size_t n = json_object_size(o), i = 0;
	auto_free char **names = xcalloc(n, sizeof(*names));
	const char *name;
	json_t *member;

	json_object_foreach (o, name, member)
		names[i++] = xstrdup(name);
	for (i = 0; i < n; i++) {
		bool predicate = w->type == MSG_RESULT && !strcmp(names[i], "predicate");
		auto_free char *at = xprintf("%s%s%s", path, *path ? "." : "", names[i]);
		json_t *old = json_incref(json_object_get(o, names[i]));
		struct err e;

		json_object_del(o, names[i]);
		if (!may_be_absent(w->type, path, names[i]))
			expect_field(w, at, "removed");
		else if (opens(w->type, w->whole, &e))
			fail_msg("%s without %s: %s", samples[w->type].name, at, e.msg);
		json_object_set(o, names[i], old);
		each_wrong_type(
			w, old, at, set_member, &(struct place){ .in = o, .name = names[i] });
		break_all(w, old, predicate ? "" : at);
		json_decref(old);
		free(names[i]);
	}
}

static void break_all(struct walk *w, json_t *j, const char *path)
{
	json_t *member;
	size_t i;

	if (!strcmp(path, "body"))
		return; /* of an answer: anything */
	if (json_is_object(j))
		break_members(w, j, path);
	if (!json_is_array(j))
		return;
	for (i = 0; i < json_array_size(j); i++) {
		auto_free char *at = xprintf("%s[%zu]", path, i);

		member = json_incref(json_array_get(j, i));
		each_wrong_type(w, member, at, set_element, &(struct place){ .in = j, .index = i });
		break_all(w, member, at);
		json_decref(member);
	}
}

static void every_field_removed_or_of_a_wrong_type_is_named(void **state)
{
	(void)state;
	int tried = 0;

	for (int type = 0; type < N_MSG_TYPES; type++) {
		auto_json json_t *j = sample((enum msg_type)type);
		struct walk w = { (enum msg_type)type, j, 0 };

		break_all(&w, j, "");
		assert_true(w.tried > 40);
		tried += w.tried;
	}
	assert_true(tried > 1000);
}

/* Bounds as docs/protocol.md has them. Sizes of texts in bytes, of lists in members. */
static const struct {
	enum msg_type type;
	const char *path;
	int64_t min, max;
} bounds[] = {
	{ MSG_CANCEL, "v", 1, 1 },
	{ MSG_CANCEL, "time", 0, (int64_t)1 << 52 },
	{ MSG_CANCEL, "crit", 1, 16 },
	{ MSG_GRID, "serial", 1, (int64_t)1 << 52 },
	{ MSG_GRID, "name", 0, 200 },
	{ MSG_GRID, "about", 0, 1000 },
	{ MSG_GRID, "keys", 1, 64 },
	{ MSG_GRID, "protocols", 1, 8 },
	{ MSG_GRID, "addresses", 0, 16 },
	{ MSG_GRID, "revoked", 0, 64 },
	{ MSG_JOB, "name", 0, 200 },
	{ MSG_JOB, "programs", 1, 8 },
	{ MSG_JOB, "programs.0.name", 1, 100 },
	{ MSG_JOB, "programs.0.platform", 1, 39 },
	{ MSG_JOB, "programs.0.blob.size", 0, (int64_t)64 << 30 },
	{ MSG_JOB, "args", 0, 256 },
	{ MSG_JOB, "args.0", 0, 8192 },
	{ MSG_JOB, "tasks.range.count", 1, 1048576 },
	{ MSG_JOB, "tasks.list.count", 1, 1048576 },
	{ MSG_JOB, "tasks.product", 1, 16 },
	{ MSG_JOB, "tasks.product.0.name", 1, 40 },
	{ MSG_JOB, "files", 0, 64 },
	{ MSG_JOB, "outputs", 0, 16 },
	{ MSG_JOB, "outputs.0", 0, 200 },
	{ MSG_JOB, "limits.cpu_s", 1, 31536000 },
	{ MSG_JOB, "limits.wall_s", 1, 31536000 },
	{ MSG_JOB, "limits.memory_mib", 1, 4194304 },
	{ MSG_JOB, "limits.disk_mib", 1, 4194304 },
	{ MSG_JOB, "limits.max_output_mib", 1, 65536 },
	{ MSG_JOB, "limits.processes", 1, 4096 },
	{ MSG_JOB, "threads", 1, 1024 },
	{ MSG_JOB, "max_results", 1, 64 },
	{ MSG_JOB, "priority", -10, 10 },
	{ MSG_JOB, "max_failures", 1, 1048576 },
	{ MSG_TICKET, "size", 0, (int64_t)64 << 30 },
	{ MSG_ASK, "seq", 1, (int64_t)1 << 53 },
	{ MSG_ASK, "want", 0, 64 },
	{ MSG_ASK, "held", 0, 256 },
	{ MSG_ASK, "wait_ms", 0, 30000 },
	{ MSG_ASK, "agent", 1, 63 },
	{ MSG_LEASE, "epoch.counter", 1, (int64_t)1 << 52 },
	{ MSG_LEASE, "leases", 1, 64 },
	{ MSG_LEASE, "leases.0.index", 0, 1048575 },
	{ MSG_LEASE, "leases.0.ttl_ms", 1, 86400000 },
	{ MSG_RESULT, "predicate.results", 1, 64 },
	{ MSG_RESULT, "predicate.results.0.index", 0, 1048575 },
	{ MSG_RESULT, "predicate.results.0.exit", 0, 255 },
	{ MSG_RESULT, "predicate.results.0.signal", 0, 64 },
	{ MSG_RESULT, "predicate.results.0.stderr.size", 0, 65536 },
	{ MSG_RESULT, "subject.0.annotations.size", 0, (int64_t)64 << 30 },
	{ MSG_ACK, "outcomes", 0, 64 },
	{ MSG_ACK, "renewed", 0, 256 },
	{ MSG_VERDICT, "tasks", 1, 256 },
	{ MSG_VERDICT, "tasks.0.index", 0, 1048575 },
	{ MSG_VERDICT, "tasks.0.counted", 0, 64 },
	{ MSG_VERDICT, "tasks.0.counted.0.pos", 0, 63 },
	{ MSG_QUERY, "index", 0, 1048575 },
};

/* A value like `old` whose size (or self) is n; NULL when there is none. */
static json_t *sized(const json_t *old, int64_t n)
{
	json_t *j = NULL;

	if (json_is_integer(old))
		return json_integer(n);
	if (n < 0)
		return NULL;
	if (json_is_string(old)) {
		auto_free char *text = xmalloc((size_t)n + 1);

		memset(text, 'x', (size_t)n);
		text[n] = '\0';
		return json_string(text);
	}
	j = json_array();
	for (int64_t i = 0; i < n; i++)
		json_array_append_new(j, json_deep_copy(json_array_get(old, 0)));
	return j;
}

/* Whether the sample with the value at `path` made n is taken. */
static bool taken(enum msg_type type, const char *path, int64_t n)
{
	auto_json json_t *whole = sample(type);
	auto_free char *copy = xstrdup(path);
	char *save = NULL;
	json_t *in = NULL, *at = whole;
	const char *last = NULL;
	struct err e;

	for (char *part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save)) {
		in = at;
		last = part;
		at = json_is_array(in) ? json_array_get(in, (size_t)atoi(part))
		                       : json_object_get(in, part);
		assert_non_null(at);
	}
	json_t *value = sized(at, n);
	if (!value)
		return false;
	if (json_is_array(in))
		json_array_set_new(in, (size_t)atoi(last), value);
	else
		json_object_set_new(in, last, value);
	if (!opens(type, whole, &e))
		return true;
	if (e.code != ERR_FIELD && e.code != ERR_TOO_BIG && e.code != ERR_MALFORMED)
		fail_msg("%s %s = %lld: %s", samples[type].name, path, (long long)n, e.msg);
	return false;
}

static void bounds_are_exactly_those_of_the_protocol(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		enum msg_type type = bounds[i].type;
		const char *path = bounds[i].path;

		if (!taken(type, path, bounds[i].min) || !taken(type, path, bounds[i].max))
			fail_msg("%s %s: a bound is refused", samples[type].name, path);
		if (taken(type, path, bounds[i].min - 1) || taken(type, path, bounds[i].max + 1))
			fail_msg("%s %s: beyond a bound is taken", samples[type].name, path);
	}
}

/* --- the envelope around them --------------------------------------------------------------------
 */

/* The member at "a[0].b" of a message; only what the test below needs. */
static json_t *holder(json_t *body, const char *path)
{
	const char *bracket = strstr(path, "[0].");
	auto_free char *list = bracket ? xmemdup(path, (size_t)(bracket - path)) : NULL;

	return bracket ? json_array_get(json_object_get(body, list), 0) : body;
}

static void a_field_of_few_words_takes_no_other(void **state)
{
	(void)state;
	static const struct {
		enum msg_type type;
		const char *path, *words[11];
	} fields[] = {
		{ MSG_ASK, "state", { "run", "pause", "finish" } },
		{ MSG_QUERY, "what", { "job", "task" } },
		{ MSG_JOB, "profile", { "compute", "files", "image" } },
		{ MSG_RESULT, "results[0].reason",
			{ "exited", "signaled", "cpu", "wall", "memory", "disk", "output",
				"processes", "policy", "setup" } },
	};
	static const char *const others[] = { "", "running", "Run", "RUN", "run ", "run|pause",
		"jobs", "x", "exit" };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		auto_json json_t *j = sample(fields[i].type);
		json_t *at = holder(body_of(fields[i].type, j), fields[i].path);
		const char *dot = strchr(fields[i].path, '.');
		const char *name = dot ? dot + 1 : fields[i].path;

		for (size_t k = 0; fields[i].words[k]; k++) {
			json_object_set_new(at, name, json_string(fields[i].words[k]));
			assert_int_equal(opens(fields[i].type, j, &e), ERR_NONE);
		}
		for (size_t k = 0; k < ARRAY_LEN(others); k++) {
			json_object_set_new(at, name, json_string(others[k]));
			assert_int_equal(opens(fields[i].type, j, &e), ERR_FIELD);
			assert_string_equal(e.field, fields[i].path);
		}
	}
}

static void one_changed_byte_anywhere_fails(void **state)
{
	(void)state;
	static const unsigned char values[] = { 0, ' ', '"', '\\', '=', 'A', 'B', '0', 'f', '/',
		'\n', 0xff };
	static const enum msg_type types[] = { MSG_CANCEL, MSG_RESULT };

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		auto_json json_t *j = sample(types[t]);
		auto_free char *line = sealed(types[t], j);

		for (size_t i = 0; i < strlen(line); i++) {
			char right = line[i];

			for (size_t v = 0; v < ARRAY_LEN(values) + 2; v++) {
				struct msg m;
				struct err e;

				line[i] = v < 2 ? (char)(right ^ (1 << v)) : (char)values[v - 2];
				size_t n =
					i + strlen(line + i + 1) + 1; /* a NUL may be in it now */
				if (line[i] != right && !msg_open(&m, line, n, &grid, &e))
					fail_msg("byte %zu as %02x is taken", i,
						(unsigned char)line[i]);
			}
			line[i] = right;
		}
	}
}

static void every_truncation_fails(void **state)
{
	(void)state;
	auto_json json_t *j = sample(MSG_CANCEL);
	auto_free char *line = sealed(MSG_CANCEL, j);
	struct msg m;
	struct err e;

	for (size_t n = 0; n < strlen(line); n++) {
		auto_free char *cut = xmalloc(n);

		memcpy(cut, line, n);
		assert_int_equal(msg_open(&m, cut, n, &grid, &e), -1);
		assert_true(e.code != ERR_NONE && e.msg[0]);
	}
}

static enum err_code payload_code(const char *text, size_t n)
{
	auto_free char *line = sealed_text(MSG_CANCEL, text, n);
	struct msg m;
	struct err e;

	if (msg_open(&m, line, strlen(line), &grid, &e))
		return e.code;
	msg_release(&m);
	return ERR_NONE;
}

/* The good cancel with ,MORE before its last brace. */
static enum err_code cancel_with(const char *more, size_t n)
{
	auto_json json_t *j = sample(MSG_CANCEL);
	auto_free char *text = shape_dump(j);
	auto_buf struct buf b = { 0 };

	buf_add(&b, text, strlen(text) - 1);
	buf_text(&b, ",");
	buf_add(&b, more, n);
	buf_text(&b, "}");
	return payload_code(b.data, b.len);
}

static void a_signed_payload_is_strict_json(void **state)
{
	(void)state;
	static const char *const bad[] = { "\"v\":1", "\"job\":\"" HEX64 "\"", "\"x\":1.0",
		"\"x\":1e2", "\"x\":9007199254740993", "\"x\":-9007199254740993",
		"\"x\":\"\\u0000\"", "\"x\":\"\xff\"", "\"\\u0076\":1", "\"x\":{\"a\":1,\"a\":1}",
		"\"x\":NaN", "" };
	char deep[80] = "\"x\":";

	assert_int_equal(cancel_with("\"x\":9007199254740992", 20), ERR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (cancel_with(bad[i], strlen(bad[i])) != ERR_MALFORMED)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(cancel_with("\"x\":\"\0\"", 7), ERR_MALFORMED);
	for (int i = 0; i < 31; i++) /* with the payload's own: 32 */
		deep[4 + i] = '[', deep[35 + i] = ']';
	assert_int_equal(cancel_with(deep, 66), ERR_NONE);
	for (int i = 0; i < 32; i++)
		deep[4 + i] = '[', deep[36 + i] = ']';
	assert_int_equal(cancel_with(deep, 68), ERR_MALFORMED);
	assert_int_equal(payload_code("[]", 2), ERR_MALFORMED);
	assert_int_equal(payload_code("", 0), ERR_MALFORMED);
	assert_int_equal(payload_code("{}", 2), ERR_FIELD);
}

static void what_is_critical_must_be_understood(void **state)
{
	(void)state;
	static const struct {
		enum msg_type type;
		const char *name;
		enum err_code code;
	} cases[] = { { MSG_CANCEL, "job", ERR_NONE }, { MSG_CANCEL, "grid", ERR_NONE },
		{ MSG_CANCEL, "new", ERR_CRIT }, { MSG_CANCEL, "", ERR_CRIT },
		{ MSG_CANCEL, "nonce", ERR_CRIT }, { MSG_JOB, "nonce", ERR_NONE },
		{ MSG_RESULT, "results", ERR_NONE }, { MSG_RESULT, "subject", ERR_CRIT },
		{ MSG_ASK, "price", ERR_CRIT }, { MSG_JOB, "grün", ERR_CRIT } };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_json json_t *j = sample(cases[i].type);
		json_t *body = body_of(cases[i].type, j);

		json_object_set_new(body, "crit", json_pack("[s,s]", "v", cases[i].name));
		assert_int_equal(opens(cases[i].type, j, &e), cases[i].code);
	}
	auto_json json_t *j = sample(MSG_CANCEL);
	json_object_set_new(j, "new", json_integer(1)); /* unknown, not critical: ignored */
	assert_int_equal(opens(MSG_CANCEL, j, &e), ERR_NONE);
}

static void reserved_and_unknown_types_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "plan", "checkpoint", "evidence", "invite",
		"ledger", "Job", "job ", "none", "x", "result" };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_json json_t *j = sample(MSG_CANCEL);

		json_object_set_new(j, "type", json_string(bad[i]));
		assert_int_equal(opens(MSG_CANCEL, j, &e), ERR_FIELD);
		assert_string_equal(e.field, "type");
	}
	auto_json json_t *r = sample(MSG_RESULT);
	json_object_set_new(body_of(MSG_RESULT, r), "type", json_string("job"));
	assert_int_equal(opens(MSG_RESULT, r, &e), ERR_FIELD);
	assert_string_equal(e.field, "type");
}

static void a_result_is_a_statement_of_ours(void **state)
{
	(void)state;
	struct err e;
	auto_json json_t *j = sample(MSG_RESULT);

	json_object_set_new(j, "_type", json_string("https://in-toto.io/Statement/v0.1"));
	assert_int_equal(opens(MSG_RESULT, j, &e), ERR_FIELD);
	assert_string_equal(e.field, "_type");
	auto_json json_t *k = sample(MSG_RESULT);
	json_object_set_new(k, "predicateType", json_string("https://slsa.dev/provenance/v1"));
	assert_int_equal(opens(MSG_RESULT, k, &e), ERR_FIELD);
	assert_string_equal(e.field, "predicateType");
	/* the predicate alone, as a plain message, is no result */
	auto_json json_t *whole = sample(MSG_RESULT);
	auto_free char *text = shape_dump(body_of(MSG_RESULT, whole));
	assert_int_equal(payload_code(text, strlen(text)), ERR_FIELD);
}

/* --- the order of checks -------------------------------------------------------------------------
 */

/* The code that a cancel gives with these things wrong at once. */
static enum err_code with_wrong(bool shape, bool of_grid, bool author, bool signature)
{
	auto_json json_t *j = sample(MSG_CANCEL);
	char hex[ID_TEXT + 1];
	struct msg m;
	struct err e;

	if (shape)
		json_object_del(j, "job");
	if (of_grid)
		json_object_set_new(j, "grid", json_string(HEX64));
	id_text(hex, key_id(other));
	if (author)
		json_object_set_new(j, "author", json_string(hex));
	auto_free char *line = sealed(MSG_CANCEL, j);
	char *sig = strstr(line, "\"sig\":\"") + 7;
	if (signature)
		*sig = *sig == 'A' ? 'B' : 'A';
	if (!msg_open(&m, line, strlen(line), &grid, &e)) {
		msg_release(&m);
		return ERR_NONE;
	}
	if (e.code == ERR_FIELD)
		assert_string_equal(e.field, shape ? "job" : "author");
	return e.code;
}

static void checks_come_in_the_order_shape_grid_author_signature(void **state)
{
	(void)state;
	for (int bits = 0; bits < 16; bits++) {
		bool shape = bits & 1, of_grid = bits & 2, author = bits & 4, signature = bits & 8;
		enum err_code code = with_wrong(shape, of_grid, author, signature);

		assert_int_equal(code, shape       ? ERR_FIELD
				       : of_grid   ? ERR_GRID
				       : author    ? ERR_FIELD
				       : signature ? ERR_SIGNATURE
						   : ERR_NONE);
	}
}

static void form_comes_before_shape_and_length_before_form(void **state)
{
	(void)state;
	auto_free char *big = xmalloc(MSG_LINE_MAX + 1);
	struct msg m;
	struct err e;

	memset(big, 'x', MSG_LINE_MAX + 1);
	assert_int_equal(msg_open(&m, big, MSG_LINE_MAX + 1, &grid, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(msg_open(&m, big, MSG_LINE_MAX, &grid, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
}

static void without_a_grid_any_is_taken(void **state)
{
	(void)state;
	auto_json json_t *j = sample(MSG_CANCEL);
	auto_free char *line = sealed(MSG_CANCEL, j);
	struct id wrong = { { 9 } };
	struct msg m;
	struct err e;

	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	msg_release(&m);
	assert_int_equal(msg_open(&m, line, strlen(line), &wrong, &e), -1);
	assert_int_equal(e.code, ERR_GRID);
}

static void each_type_has_its_own_length(void **state)
{
	(void)state;
	static const struct {
		enum msg_type type;
		size_t max;
	} sizes[] = { { MSG_CANCEL, 4096 }, { MSG_QUERY, 4096 }, { MSG_PEER, 4096 }, { MSG_JOB, 96 * 1024 },
		{ MSG_ASK, 128 * 1024 }, { MSG_RESULT, MSG_LINE_MAX } };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		auto_json json_t *j = sample(sizes[i].type);
		auto_free char *fill = xmalloc(sizes[i].max + 1);

		memset(fill, 'x', sizes[i].max);
		fill[sizes[i].max] = '\0';
		json_object_set_new(j, "x", json_string(fill));
		assert_int_equal(opens(sizes[i].type, j, &e), ERR_TOO_BIG);
		fill[sizes[i].max / 4] = '\0';
		json_object_set_new(j, "x", json_string(fill));
		assert_int_equal(opens(sizes[i].type, j, &e), ERR_NONE);
	}
	/* and nothing larger leaves either */
	json_t *j = sample(MSG_CANCEL);
	auto_free char *fill = xcalloc(5000, 1);
	char *line;
	memset(fill, 'x', 4999);
	json_object_set_new(j, "x", json_string(fill));
	assert_int_equal(msg_seal(&line, j, NULL, key, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_null(line);
}

static void naughty_names_round_trip(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("blns/blns.json");
	json_t *s;
	size_t i;
	int took = 0;

	if (!all)
		skip();
	json_array_foreach (all, i, s) {
		auto_json json_t *j = sample(MSG_JOB);
		auto_free char *line = NULL;
		struct msg m;
		struct err e;

		json_object_set(j, "name", s);
		json_object_set_new(j, "args", json_pack("[O]", s));
		line = sealed(MSG_JOB, j);
		if (json_string_length(s) > 200) {
			assert_int_equal(msg_open(&m, line, strlen(line), &grid, &e), -1);
			assert_string_equal(e.field, "name");
			continue;
		}
		assert_int_equal(msg_open(&m, line, strlen(line), &grid, &e), 0);
		assert_string_equal(jtext(m.body, "name"), json_string_value(s));
		msg_release(&m);
		took++;
	}
	assert_true(took > 490);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_message_of_every_type_round_trips),
		cmocka_unit_test(what_msg_seal_takes_opens_and_what_it_refuses_is_named),
		cmocka_unit_test(a_payload_that_could_not_be_made_is_an_error_not_a_crash),
		cmocka_unit_test(every_field_removed_or_of_a_wrong_type_is_named),
		cmocka_unit_test(bounds_are_exactly_those_of_the_protocol),
		cmocka_unit_test(a_field_of_few_words_takes_no_other),
		cmocka_unit_test(one_changed_byte_anywhere_fails),
		cmocka_unit_test(every_truncation_fails),
		cmocka_unit_test(a_signed_payload_is_strict_json),
		cmocka_unit_test(what_is_critical_must_be_understood),
		cmocka_unit_test(reserved_and_unknown_types_are_refused),
		cmocka_unit_test(a_result_is_a_statement_of_ours),
		cmocka_unit_test(checks_come_in_the_order_shape_grid_author_signature),
		cmocka_unit_test(form_comes_before_shape_and_length_before_form),
		cmocka_unit_test(without_a_grid_any_is_taken),
		cmocka_unit_test(each_type_has_its_own_length),
		cmocka_unit_test(naughty_names_round_trip),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
