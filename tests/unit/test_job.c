/* SPDX-License-Identifier: Apache-2.0
 *
 * test_job.c: what a manifest means, what each task is given, and what is no program.
 */
#include "jobs/job.h"
#include "jobs/job_words.h"
#include "tests/unit/vectors.h"

#include <elf.h>
#include <time.h>

#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 HEX32 HEX32
#define BLOB "{'digest':'sha256:" HEX64 "','size':100,'pieces_root':'" HEX64 "'}"

static struct key *key;
static struct err e;

static int make_key(void **state)
{
	(void)state;
	key = key_new();
	return 0;
}

static int drop_key(void **state)
{
	(void)state;
	key_free(key);
	return 0;
}

/* JSON written with ' for ". */
static json_t *quoted(const char *text)
{
	auto_free char *copy = xstrdup(text);

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json_t *j = json_loads(copy, JSON_DECODE_ANY, NULL);
	if (!j)
		fail_msg("not JSON: %s", copy);
	return j;
}

static json_t *manifest(const char *changes)
{
	json_t *j = msg_new(MSG_JOB, key_id(key), key_id(key), 5);
	json_t *base = quoted(
		"{'nonce':'" HEX32
		"','name':'n','programs':[{'platform':'x86_64-linux','name':'prog','blob':" BLOB
		"}],'profile':'files','args':[],'tasks':{'range':{'count':10}},'files':[],'outputs'"
	        ":[],"
		"'limits':{'cpu_s':1,'wall_s':2,'memory_mib':3,'disk_mib':4,'max_output_mib':5,'"
	        "processes':6},'threads':7,"
		"'assurance':'quorum:2','max_results':5,'compare':'exact','deterministic':false,'"
	        "platform_class':'any','priority':-3}");
	json_t *more = quoted(changes);

	json_object_update(j, base);
	json_object_update(j, more);
	json_decref(base);
	json_decref(more);
	return j;
}

/* Sign and open what the manifest with `changes` is, and read it: 0 or -1. */
static int read_changed(struct job *job, const char *changes)
{
	auto_free char *line = NULL;
	struct msg m;

	e = (struct err){ 0 };
	if (msg_seal(&line, manifest(changes), NULL, key, &e) ||
		msg_open(&m, line, strlen(line), NULL, &e))
		fail_msg("does not seal: %s", e.msg);
	int bad = job_read(job, &m, &e);
	if (!bad) {
		struct digest id = digest_of(m.sealed.payload, m.sealed.n);
		assert_true(digest_equal(&id, &job->id));
		assert_true(id_equal(&job->submitter, key_id(key)));
	}
	msg_release(&m);
	return bad;
}

static void a_manifest_is_read_field_by_field(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(read_changed(&j, "{'args':['-x','{index}'],'outputs':['*.txt'],'files':[{'"
	                                  "name':'data','blob':" BLOB "}],'max_failures':9}"),
		0);
	assert_string_equal(j.name, "n");
	assert_int_equal(j.profile, PROFILE_FILES);
	assert_int_equal(j.n_programs, 1);
	assert_string_equal(j.programs[0].platform, "x86_64-linux");
	assert_int_equal(j.programs[0].blob.size, 100);
	assert_ptr_equal(job_program(&j, "x86_64-linux"), &j.programs[0]);
	assert_null(job_program(&j, "riscv64-linux"));
	assert_int_equal(j.n_args, 2);
	assert_int_equal(j.tasks, TASKS_RANGE);
	assert_int_equal(j.count, 10);
	assert_int_equal(j.n_files, 1);
	assert_string_equal(j.files[0].name, "data");
	assert_int_equal(j.n_outputs, 1);
	assert_int_equal(job_wants_disk_mib(&j), 4);
	j.output_mib = JOB_OUTPUT_MIB + 1;
	assert_int_equal(job_wants_disk_mib(&j), JOB_OUTPUT_MIB + 1); /* it may print more than it may keep */
	j.output_mib = 5;
	assert_true(j.cpu_s == 1 && j.wall_s == 2 && j.memory_mib == 3 && j.disk_mib == 4 &&
		    j.output_mib == 5 && j.processes == 6 && j.threads == 7);
	assert_int_equal(j.quorum, 2);
	assert_string_equal(j.assurance, "quorum:2");
	assert_int_equal(j.max_results, 5);
	assert_int_equal(j.max_failures, 9);
	assert_int_equal(j.priority, -3);
	assert_false(j.deterministic);
	job_release(&j);
	job_release(&j); /* twice does no harm */
	assert_int_equal(read_changed(&j, "{'profile':'compute'}"), 0);
	assert_int_equal(j.profile, PROFILE_COMPUTE);
	assert_int_equal(j.max_failures, 0);
	job_release(&j);
}

#define IMAGE \
	"{'profile':'image','programs':[{'platform':'x86_64-linux','name':'python3','path':'python3'}]," \
	"'image':{'layers':[" BLOB "],'env':['A=b'],'workdir':'/work'}"

static void what_makes_no_sense_is_refused_by_field(void **state)
{
	(void)state;
	static const struct {
		const char *changes, *field;
	} cases[] = {
		{ "{'profile':'compute','outputs':['x']}", "outputs" },
		{ "{'profile':'compute','files':[{'name':'a','blob':" BLOB "}]}", "files" },
		{ "{'programs':[{'platform':'a','name':'p/q','blob':" BLOB "}]}", "programs[0]" },
		{ "{'programs':[{'platform':'a','name':'..','blob':" BLOB "}]}", "programs[0]" },
		{ "{'programs':[{'platform':'a','name':'p','blob':" BLOB
		  "},{'platform':'a','name':'p','blob':" BLOB "}]}",
			"programs[1]" },
		{ "{'programs':[{'platform':'a','name':'p'}]}", "programs[0]" },
		{ "{'programs':[{'platform':'a','name':'p','path':'/p'}]}", "programs[0]" },
		{ "{'programs':[{'platform':'a','name':'p','path':'/p','blob':" BLOB "}]}", "programs[0]" },
		{ "{'profile':'image'}", "programs[0]" },
		{ IMAGE ",'image':{'layers':[" BLOB "],'env':['A'],'workdir':'/'}}", "image.env" },
		{ IMAGE ",'image':{'layers':[" BLOB "],'env':['=b'],'workdir':'/'}}", "image.env" },
		{ IMAGE ",'image':{'layers':[" BLOB "],'env':[],'workdir':'x'}}", "image.workdir" },
		{ "{'image':{'layers':[" BLOB "],'env':[],'workdir':'/'}}", "image" },
		{ "{'files':[{'name':'a'}]}", "files" },
		{ "{'files':[{'name':'a','from':{'job':'" HEX64 "','file':'stderr'}}]}", "files[0].from" },
		{ "{'files':[{'name':'a','from':{'job':'" HEX64 "','file':'files/../a'}}]}", "files[0].from" },
		{ "{'files':[{'name':'a','from':{'job':'" HEX64 "','file':'files/a/'}}]}", "files[0].from" },
		{ "{'tasks':{'each':{'job':'" HEX64 "','file':'x','count':3}}}", "tasks.each" },
		{ "{'local':['a/b'],'assurance':'quorum:1'}", "local" },
		{ "{'local':['a','a'],'assurance':'quorum:1'}", "local" },
		{ "{'local':['a']}", "assurance" },
		{ "{'local':['a'],'assurance':'quorum:1','profile':'compute'}", "local" },
		{ "{'checkpoint':'local','profile':'compute'}", "checkpoint" },
		{ "{'checkpoint':'local','files':[{'name':'checkpoint','blob':" BLOB "}]}", "files" },
		{ "{'checkpoint':'local','local':['checkpoint'],'assurance':'quorum:1'}", "local" },
		{ "{'checkpoint':'travels','local':['a'],'assurance':'quorum:1'}", "checkpoint" },
		{ "{'platform_class':'x86_64-v3'}", "platform_class" },
		{ "{'compare':'tolerance:1'}", "compare" },
		{ "{'compare':'numeric:rtol=2,atol=0'}", "compare" },
		{ "{'compare_by':[{'glob':'stdout','how':'nearly'}]}", "compare_by" },
		{ "{'compare':'program'}", "comparator" },
		{ "{'compare_by':[{'glob':'files/*','how':'program'}]}", "comparator" },
		{ "{'comparator':{'platform':'a','name':'c','blob':" BLOB "}}", "comparator" },
		{ "{'compare':'program','comparator':{'platform':'a','name':'../c','blob':" BLOB "}}", "comparator" },
		{ "{'compare':'program','comparator':{'platform':'a','name':'c','path':'/c'}}", "comparator" },
		{ "{'bits':['root']}", "bits" },
		{ "{'bits':['jit'],'profile':'compute'}", "bits" },
		{ "{'files':[{'name':'../x','blob':" BLOB "}]}", "files" },
		{ "{'files':[{'name':'.x','blob':" BLOB "}]}", "files" },
		{ "{'files':[{'name':'a b','blob':" BLOB "}]}", "files" },
		{ "{'files':[{'name':'a','blob':" BLOB "},{'name':'a','blob':" BLOB "}]}",
			"files" },
		{ "{'tasks':{}}", "tasks" },
		{ "{'tasks':{'range':{'count':1},'product':[{'name':'a','values':['1']}]}}",
			"tasks" },
		{ "{'tasks':{'range':{'count':1},'list':{'count':1,'blob':" BLOB "}}}", "tasks" },
		{ "{'tasks':{'product':[{'name':'a b','values':['1']}]}}", "tasks.product" },
		{ "{'tasks':{'product':[{'name':'a}','values':['1']}]}}", "tasks.product" },
		{ "{'tasks':{'product':[{'name':'a','values':['1']},{'name':'a','values':['1']}]}}",
			"tasks.product" },
		{ "{'tasks':{'list':{'count':1,'blob':{'digest':'sha256:" HEX64
		  "','size':268435457,'pieces_root':'" HEX64 "'}}}}",
			"tasks.list.blob.size" },
		{ "{'assurance':'quorum:0'}", "assurance" },
		{ "{'assurance':'quorum:16'}", "assurance" },
		{ "{'assurance':'quorum:02'}", "assurance" },
		{ "{'assurance':'quorum:'}", "assurance" },
		{ "{'assurance':'quorum:2 '}", "assurance" },
		{ "{'assurance':'none'}", "assurance" },
		{ "{'assurance':'quorum:6'}", "max_results" },
	};
	struct job j;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!read_changed(&j, cases[i].changes))
			fail_msg("taken: %s", cases[i].changes);
		assert_int_equal(e.code, ERR_FIELD);
		if (strcmp(e.field, cases[i].field) != 0)
			fail_msg("%s gives %s", cases[i].changes, e.field);
		assert_null(j.args);
	}
}

static void sources_and_local_data_are_read(void **state)
{
	(void)state;
	struct digest id;
	struct job j;

	digest_from_hex(&id, HEX64);
	assert_int_equal(read_changed(&j, "{'files':[{'name':'a','from':{'job':'" HEX64 "','file':'stdout'}},"
					  "{'name':'b','from':{'job':'" HEX64 "','index':4,'file':'files/x/y'}}],"
					  "'tasks':{'each':{'job':'" HEX64 "','file':'files/a','count':3}},'after':['" HEX64 "']}"),
		0);
	assert_true(j.files[0].from && j.files[0].source.index == -1 && digest_equal(&j.files[0].source.job, &id));
	assert_true(j.files[1].from && j.files[1].source.index == 4);
	assert_string_equal(j.files[1].source.file, "files/x/y");
	assert_int_equal(j.tasks, TASKS_EACH);
	assert_int_equal(j.count, 3);
	assert_int_equal(j.n_after, 1);
	job_release(&j);
	assert_int_equal(read_changed(&j, "{'local':['scans','b'],'assurance':'quorum:1'}"), 0);
	assert_int_equal(j.n_local, 2);
	assert_string_equal(j.local[0], "scans");
	job_release(&j);
}

static void outputs_are_compared_by_the_first_glob_that_matches(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(read_changed(&j, "{'compare':'numeric:rtol=0.25,atol=0','compare_by':[{'glob':'files/*.csv','how':"
					  "'exact'},{'glob':'files/**','how':'program'}],'comparator':{'platform':'a',"
					  "'name':'c','blob':" BLOB "}}"),
		0);
	assert_true(job_tolerant(&j));
	assert_int_equal(job_comparison(&j, "files/a.csv")->kind, COMPARE_EXACT);
	assert_int_equal(job_comparison(&j, "files/b/a.csv")->kind, COMPARE_PROGRAM);
	assert_int_equal(job_comparison(&j, "stdout")->kind, COMPARE_NUMERIC);
	assert_true(job_comparison(&j, "stdout")->rtol == 0.25);
	assert_string_equal(j.comparator.name, "c");
	job_release(&j);
	assert_int_equal(read_changed(&j, "{'compare_by':[{'glob':'**','how':'exact'}],'platform_class':'same'}"), 0);
	assert_false(job_tolerant(&j));
	assert_true(j.same_class);
	job_release(&j);
}

static void bits_are_a_set_with_names(void **state)
{
	(void)state;
	auto_free char *none = words_text(job_bit_words, 0), *both = words_text(job_bit_words, JOB_BIT_JIT | JOB_BIT_PROC),
		       *one = words_text(job_bit_words, JOB_BIT_PROC);
	struct job j;

	assert_string_equal(none, "");
	assert_string_equal(one, "proc");
	assert_string_equal(both, "jit,proc");
	assert_int_equal(1u << word_place(job_bit_words, "jit"), JOB_BIT_JIT);
	assert_int_equal(word_place(job_bit_words, "JIT"), -1);
	assert_int_equal(word_place(job_bit_words, ""), -1);
	for (unsigned set = 0; set < 4; set++) {
		auto_json json_t *array = words_json(job_bit_words, set);

		json_array_append_new(array, json_string("unheard"));
		assert_int_equal(words_read(job_bit_words, array), set);
	}
	assert_int_equal(read_changed(&j, "{'profile':'files','bits':['proc','jit','proc']}"), 0);
	assert_int_equal(j.bits, JOB_BIT_JIT | JOB_BIT_PROC);
	job_release(&j);
}

static void what_belongs_to_later_is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *changes, *field;
	} cases[] = {
		{ "{'assurance':'audit:1'}", "assurance" },
		{ "{'assurance':'trusted'}", "assurance" },
		{ "{'assurance':'checker:x'}", "assurance" },
		{ "{'deadline':1}", "deadline" },
		{ "{'expires':1}", "expires" }, { "{'price':0}", "price" } };
	struct job j;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(read_changed(&j, cases[i].changes), -1);
		assert_int_equal(e.code, ERR_REFUSED);
		assert_string_equal(e.field, cases[i].field);
	}
	assert_int_equal(read_changed(&j, "{'bits':[]}"), 0);
	job_release(&j);
}

static void an_images_program_is_a_path_in_it(void **state)
{
	struct job_task t;
	struct job j;

	(void)state;
	assert_int_equal(read_changed(&j, IMAGE "}"), 0);
	assert_int_equal(j.profile, PROFILE_IMAGE);
	assert_string_equal(j.programs[0].path, "python3");
	assert_int_equal(j.image.n_layers, 1);
	assert_string_equal(j.image.env[0], "A=b");
	assert_string_equal(j.image.workdir, "/work");
	assert_int_equal(job_task(&t, &j, 0, NULL, 0, &e), 0);
	assert_string_equal(t.argv[0], "python3");
	job_task_release(&t);
	job_release(&j);
}

static void a_tree_is_kept_under_the_digests_of_its_layers_in_order(void **state)
{
	struct blob layers[2] = { { .digest = digest_of("a", 1) }, { .digest = digest_of("b", 1) } };
	struct job_image im = { .layers = layers, .n_layers = 2 };
	struct digest ab = job_image_key(&im), ba, a;
	unsigned char both[2 * DIGEST_BYTES];

	(void)state;
	memcpy(both, layers[0].digest.b, DIGEST_BYTES);
	memcpy(both + DIGEST_BYTES, layers[1].digest.b, DIGEST_BYTES);
	struct digest want = digest_of(both, sizeof(both));
	assert_true(digest_equal(&ab, &want));
	im.n_layers = 1;
	a = job_image_key(&im);
	im.n_layers = 2;
	layers[0].digest = digest_of("b", 1);
	layers[1].digest = digest_of("a", 1);
	ba = job_image_key(&im);
	assert_false(digest_equal(&ab, &ba) || digest_equal(&ab, &a));
}

static void only_a_job_message_is_a_job_and_only_up_to_64_kib(void **state)
{
	(void)state;
	auto_free char *line = NULL, *big = NULL;
	struct msg m;
	struct job j;

	json_t *cancel = msg_new(MSG_CANCEL, key_id(key), key_id(key), 1);
	json_object_set_new(cancel, "job", json_string(HEX64));
	assert_int_equal(msg_seal(&line, cancel, NULL, key, &e), 0);
	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	assert_int_equal(job_read(&j, &m, &e), -1);
	assert_string_equal(e.field, "type");
	msg_release(&m);
	char *fill = xmalloc(JOB_MANIFEST_MAX + 1);
	memset(fill, 'x', JOB_MANIFEST_MAX);
	fill[JOB_MANIFEST_MAX] = '\0';
	json_t *large = manifest("{}");
	json_object_set_new(large, "x", json_string(fill));
	free(fill);
	assert_int_equal(msg_seal(&big, large, NULL, key, &e), 0);
	assert_int_equal(msg_open(&m, big, strlen(big), NULL, &e), 0);
	assert_int_equal(job_read(&j, &m, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	msg_release(&m);
}

static void naughty_names_are_names(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("blns/blns.json");
	json_t *s;
	size_t i;

	if (!all)
		skip();
	json_array_foreach (all, i, s) {
		auto_free char *line = NULL;
		json_t *made = manifest("{}");
		struct job_task t;
		struct msg m;
		struct job j;

		if (json_string_length(s) <= 200)
			json_object_set(made, "name", s);
		json_object_set_new(made, "args", json_pack("[O]", s));
		assert_int_equal(msg_seal(&line, made, NULL, key, &e), 0);
		assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
		assert_int_equal(job_read(&j, &m, &e), 0);
		if (json_string_length(s) <= 200)
			assert_string_equal(j.name, json_string_value(s));
		assert_int_equal(job_task(&t, &j, 1, NULL, 0, &e), 0);
		if (!strstr(json_string_value(s), "{index}"))
			assert_string_equal(t.argv[1], json_string_value(s));
		job_task_release(&t);
		job_release(&j);
		msg_release(&m);
	}
}

/* --- tasks --------------------------------------------------------------------------------------
 */

static void assert_argv(const struct job *j, int64_t index, const char *list, const char *expected)
{
	struct job_task t;
	auto_buf struct buf b = { 0 };

	if (job_task(&t, j, index, list, list ? strlen(list) : 0, &e))
		fail_msg("task %lld: %s", (long long)index, e.msg);
	for (char **arg = t.argv; *arg; arg++)
		buf_printf(&b, "%s[%s]", b.len ? " " : "", *arg);
	assert_string_equal(b.data, expected);
	assert_int_equal(t.index, index);
	job_task_release(&t);
}

static void placeholders_are_replaced_and_other_braces_stay(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(
		read_changed(&j,
			"{'args':['{index}','a{index}b{index}','{}','{','}','{{index}}','{x}',"
			"'{index','index}','{ index "
	                "}','{Index}','{name}','{line}','','{{','${index}','{a{index}']}"),
		0);
	assert_argv(&j, 7, NULL,
		"[prog] [7] [a7b7] [{}] [{] [}] [{7}] [{x}] [{index] [index}] [{ index }] "
	        "[{Index}] "
		"[{name}] [{line}] [] [{{] [$7] [{a7]");
	job_release(&j);
}

static void a_range_has_its_indices_and_no_others(void **state)
{
	(void)state;
	static const int64_t bad[] = { -1, 10, INT64_MAX, INT64_MIN };
	struct job j;
	struct job_task t;

	assert_int_equal(read_changed(&j, "{'args':['{index}']}"), 0);
	assert_argv(&j, 0, NULL, "[prog] [0]");
	assert_argv(&j, 9, NULL, "[prog] [9]");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(job_task(&t, &j, bad[i], NULL, 0, &e), -1);
		assert_string_equal(e.field, "index");
		assert_null(t.argv);
	}
	job_release(&j);
}

static void in_a_product_the_last_parameter_varies_fastest(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(
		read_changed(&j,
			"{'args':['{a}-{b}-{c}'],'tasks':{'product':[{'name':'a','values':['1','2']"
	                "},"
			"{'name':'b','values':['x']},{'name':'c','values':['p','q','r']}]}}"),
		0);
	assert_int_equal(j.tasks, TASKS_PRODUCT);
	assert_int_equal(j.count, 6);
	assert_argv(&j, 0, NULL, "[prog] [1-x-p]");
	assert_argv(&j, 1, NULL, "[prog] [1-x-q]");
	assert_argv(&j, 2, NULL, "[prog] [1-x-r]");
	assert_argv(&j, 3, NULL, "[prog] [2-x-p]");
	assert_argv(&j, 5, NULL, "[prog] [2-x-r]");
	struct job_task t;
	assert_int_equal(job_task(&t, &j, 6, NULL, 0, &e), -1);
	assert_int_equal(job_task(&t, &j, 4, NULL, 0, &e), 0);
	assert_int_equal(t.n_params, 3);
	assert_string_equal(t.params[0].name, "a");
	assert_string_equal(t.params[0].value, "2");
	assert_string_equal(t.params[2].value, "q");
	job_task_release(&t);
	job_release(&j);
}

/* A product of `n` parameters of `values` values each. */
static int read_cube(struct job *job, int n, int values)
{
	json_t *list = json_array();
	auto_free char *line = NULL;
	struct msg m;

	for (int i = 0; i < n; i++) {
		json_t *v = json_array();
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		for (int k = 0; k < values; k++)
			json_array_append_new(v, json_string("1"));
		json_array_append_new(list, json_pack("{s:s, s:o}", "name", name, "values", v));
	}
	json_t *made = manifest("{}");
	json_object_set_new(made, "tasks", json_pack("{s:o}", "product", list));
	assert_int_equal(msg_seal(&line, made, NULL, key, &e), 0);
	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	int bad = job_read(job, &m, &e);
	msg_release(&m);
	return bad;
}

static void a_product_has_a_million_tasks_at_most_and_does_not_overflow(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(read_cube(&j, 2, 1024), 0);
	assert_int_equal(j.count, JOB_TASKS_MAX);
	struct job_task t;
	assert_int_equal(job_task(&t, &j, JOB_TASKS_MAX - 1, NULL, 0, &e), 0);
	job_task_release(&t);
	job_release(&j);
	assert_int_equal(read_cube(&j, 2, 1025), -1);
	assert_string_equal(e.field, "tasks.product");
	assert_int_equal(read_cube(&j, 16, 900), -1); /* 900^16 is far beyond 64 bits */
	assert_int_equal(read_cube(&j, 16, 2), 0);
	assert_int_equal(j.count, 65536);
	job_release(&j);
}

#define LIST "{'args':['{name}:{line}:{x}:{index}'],'tasks':{'list':{'count':%d,'blob':" BLOB "}}}"

static void read_list(struct job *j, int count)
{
	auto_free char *changes = xprintf(LIST, count);

	if (read_changed(j, changes))
		fail_msg("%s", e.msg);
	assert_int_equal(j->tasks, TASKS_LIST);
}

static void a_list_gives_each_task_its_line(void **state)
{
	(void)state;
	static const char list[] = "{\"name\":\"one\"}\n{\"line\":\"two "
	                           "words\"}\n{\"params\":{\"x\":\"3\",\"y\":\"\"}}\n"
				   "{\"name\":\"f\",\"stdin\":{\"digest\":\"sha256:" HEX64
				   "\",\"size\":5,\"pieces_root\":\"" HEX64 "\"}}\n{\"line\":\"\"}";
	struct job_task t;
	struct job j;

	read_list(&j, 5);
	assert_argv(&j, 0, list, "[prog] [one:{line}:{x}:0]");
	assert_argv(&j, 1, list, "[prog] [{name}:two words:{x}:1]");
	assert_argv(&j, 2, list, "[prog] [{name}:{line}:3:2]");
	assert_int_equal(job_task(&t, &j, 1, list, strlen(list), &e), 0);
	assert_string_equal(t.stdin_text, "two words\n");
	assert_false(t.has_stdin_blob);
	job_task_release(&t);
	assert_int_equal(job_task(&t, &j, 3, list, strlen(list), &e), 0);
	assert_true(t.has_stdin_blob);
	assert_int_equal(t.stdin_blob.size, 5);
	assert_null(t.stdin_text);
	job_task_release(&t);
	assert_int_equal(
		job_task(&t, &j, 4, list, strlen(list), &e), 0); /* no newline at the end */
	assert_string_equal(t.stdin_text, "\n");
	job_task_release(&t);
	assert_int_equal(job_task(&t, &j, 5, list, strlen(list), &e), -1);
	assert_int_equal(job_task(&t, &j, 4, list, strlen(list) - 12, &e),
		-1); /* the list is shorter than count */
	assert_int_equal(job_task(&t, &j, 0, NULL, 0, &e), -1);
	job_release(&j);
}

#define RETRY "{'args':['{index}{x}'],'crit':['retry_of'],'retry_of':'" HEX64 "','tasks':{'list':{'count':2,'blob':" BLOB "}}}"

static void in_a_retry_index_is_the_number_of_the_task_tried_again(void **state)
{
	(void)state;
	static const char list[] = "{\"params\":{\"x\":\"a\"},\"of\":17}\n{\"of\":0}\n";
	struct job_task t;
	struct job j;

	assert_int_equal(read_changed(&j, RETRY), 0);
	assert_true(j.is_retry);
	assert_argv(&j, 0, list, "[prog] [17a]");
	assert_argv(&j, 1, list, "[prog] [0{x}]");
	assert_int_equal(job_task(&t, &j, 0, "{}\n{}\n", 6, &e), -1); /* which one? */
	assert_string_equal(e.field, "tasks.list[0]");
	assert_int_equal(job_task(&t, &j, 0, "{\"of\":1048576}\n", 15, &e), -1);
	job_release(&j);
	read_list(&j, 2); /* elsewhere `of` is a name that nobody knows */
	assert_false(j.is_retry);
	assert_argv(&j, 1, list, "[prog] [{name}:{line}:{x}:1]");
	job_release(&j);
}

static void a_retry_must_be_understood_and_has_a_list(void **state)
{
	(void)state;
	struct job j;

	assert_int_equal(read_changed(&j, "{'crit':['retry_of'],'retry_of':'" HEX64 "'}"), -1);
	assert_string_equal(e.field, "retry_of");
	assert_int_equal(read_changed(&j, "{'retry_of':'" HEX64 "','tasks':{'list':{'count':2,'blob':" BLOB "}}}"), -1);
	assert_string_equal(e.field, "retry_of");
	assert_int_equal(read_changed(&j, "{'crit':['v','name'],'retry_of':'" HEX64 "','tasks':{'list':{'count':2,'blob':" BLOB "}}}"), -1);
	assert_string_equal(e.field, "retry_of");
}

static void a_value_is_not_replaced_again(void **state)
{
	(void)state;
	static const char list[] = "{\"name\":\"{index}{x}\",\"params\":{\"x\":\"{name}\"}}\n";
	struct job j;

	read_list(&j, 1);
	assert_argv(&j, 0, list, "[prog] [{index}{x}:{line}:{name}:0]");
	job_release(&j);
}

static int count_blob(void *arg, const struct blob *b, const char *what)
{
	assert_true(b->size > 0 && what[0]);
	return ++*(int *)arg > 1000 ? -1 : 0;
}

static void a_bad_list_line_is_named(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "[]", "1", "x", "{\"name\":5}", "{\"name\":\"\"}",
		"{\"name\":\"a\",\"name\":\"b\"}",
		"{\"line\":\"a\",\"stdin\":{\"digest\":\"sha256:" HEX64
		"\",\"size\":5,\"pieces_root\":\"" HEX64 "\"}}",
		"{\"stdin\":{}}", "{\"stdin\":5}", "{\"params\":[]}", "{\"params\":{\"a\":1}}",
		"{\"params\":{\"\":\"x\"}}", "{\"line\":\"\\u0000\"}", "{\"line\":\"\xff\"}",
		"{\"x\":1.5}", "{}{}" };
	struct job_task t;
	struct job j;

	read_list(&j, 2);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_free char *list = xprintf("{\"name\":\"good\"}\n%s\n", bad[i]);
		int n = 0;

		if (!job_task(&t, &j, 1, list, strlen(list), &e))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(e.msg, "tasks.list[1]"));
		assert_null(t.name);
		assert_int_equal(
			job_each_list_blob(&j, list, strlen(list), count_blob, &n, &e), -1);
		assert_argv(&j, 0, list, "[prog] [good:{line}:{x}:0]");
	}
	job_release(&j);
}

static void a_list_line_may_be_64_kib_and_no_more(void **state)
{
	(void)state;
	auto_free char *list = xmalloc(JOB_LIST_LINE_MAX + 100);
	struct job_task t;
	struct job j;

	memset(list, 'x', JOB_LIST_LINE_MAX + 100);
	memcpy(list, "{\"line\":\"", 9);
	memcpy(list + JOB_LIST_LINE_MAX - 2, "\"}\n", 3);
	read_list(&j, 1);
	assert_int_equal(job_task(&t, &j, 0, list, JOB_LIST_LINE_MAX, &e), 0);
	job_task_release(&t);
	memcpy(list + JOB_LIST_LINE_MAX - 2, "x\"}\n", 4);
	assert_int_equal(job_task(&t, &j, 0, list, JOB_LIST_LINE_MAX + 1, &e), -1);
	job_release(&j);
}

static void a_lists_lines_are_exactly_as_many_as_it_says(void **state)
{
	(void)state;
	static const char two[] = "{\"name\":\"a\"}\n{\"name\":\"b\"}\n";
	struct job j;
	int n = 0;

	read_list(&j, 2);
	assert_int_equal(job_each_list_blob(&j, two, strlen(two), count_blob, &n, &e), 0);
	assert_int_equal(job_each_list_blob(&j, two, strlen(two) - 1, count_blob, &n, &e), 0);
	assert_int_equal(job_each_list_blob(&j, two, 13, count_blob, &n, &e), -1);
	assert_string_equal(e.field, "tasks.list.count");
	assert_int_equal(job_each_list_blob(&j, "", 0, count_blob, &n, &e), -1);
	job_release(&j);
	/* 16 MiB of {} are not all parsed to be counted */
	auto_free char *many = xmalloc(15 * MIB);
	for (int64_t i = 0; i < 15 * MIB; i += 3)
		memcpy(many + i, "{}\n", 3);
	read_list(&j, 3);
	clock_t start = clock();
	assert_int_equal(job_each_list_blob(&j, many, 15 * MIB, count_blob, &n, &e), -1);
	assert_string_equal(e.field, "tasks.list.count");
	assert_true(clock() - start < CLOCKS_PER_SEC / 10);
	job_release(&j);
}

static void every_blob_of_a_job_is_visited(void **state)
{
	(void)state;
	static const char list[] =
		"{\"stdin\":{\"digest\":\"sha256:" HEX64 "\",\"size\":5,\"pieces_root\":\"" HEX64
		"\"}}\n{\"name\":\"x\"}\n";
	struct job j;
	int n = 0;

	assert_int_equal(
		read_changed(&j, "{'files':[{'name':'a','blob':" BLOB "},{'name':'b','blob':" BLOB
				 "}],'tasks':{'list':{'count':2,'blob':" BLOB "}}}"),
		0);
	assert_int_equal(job_each_blob(&j, count_blob, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(job_each_list_blob(&j, list, strlen(list), count_blob, &n, &e), 0);
	assert_int_equal(n, 5);
	n = 1000;
	assert_int_equal(job_each_blob(&j, count_blob, &n), -1);
	assert_int_equal(n, 1001);
	job_release(&j);
}

static void placeholders_cannot_ask_for_a_gigabyte(void **state)
{
	(void)state;
	auto_buf struct buf arg = { 0 }, list = { 0 };
	auto_free char *line = NULL, *value = xmalloc(60001);
	json_t *made = manifest("{'tasks':{'list':{'count':1,'blob':" BLOB "}}}"),
	       *args = json_array();
	struct job_task t;
	struct msg m;
	struct job j;

	for (int i = 0; i < 2000; i++)
		buf_text(&arg, "{x}");
	for (int i = 0; i < 8; i++)
		json_array_append_new(args, json_string(arg.data));
	json_object_set_new(made, "args", args);
	memset(value, 'v', 60000);
	value[60000] = '\0';
	buf_printf(&list, "{\"params\":{\"x\":\"%s\"}}\n", value);
	assert_int_equal(msg_seal(&line, made, NULL, key, &e), 0);
	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	assert_int_equal(job_read(&j, &m, &e), 0);
	assert_int_equal(job_task(&t, &j, 0, list.data, list.len, &e), -1);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, "args[0]");
	assert_null(t.argv);
	job_release(&j);
	msg_release(&m);
}

static void all_arguments_together_are_a_megabyte_at_most(void **state)
{
	(void)state;
	auto_buf struct buf list = { 0 };
	auto_free char *line = NULL, *value = xmalloc(60001);
	json_t *made = manifest("{'tasks':{'list':{'count':1,'blob':" BLOB "}}}"),
	       *args = json_array();
	struct job_task t;
	struct msg m;
	struct job j;

	for (int i = 0; i < 20; i++)
		json_array_append_new(args, json_string("{x}"));
	json_object_set_new(made, "args", args);
	memset(value, 'v', 60000);
	value[60000] = '\0';
	buf_printf(&list, "{\"params\":{\"x\":\"%s\"}}\n", value);
	assert_int_equal(msg_seal(&line, made, NULL, key, &e), 0);
	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	assert_int_equal(job_read(&j, &m, &e), 0);
	assert_int_equal(job_task(&t, &j, 0, list.data, list.len, &e), -1);
	assert_string_equal(e.field, "args[17]");
	job_release(&j);
	msg_release(&m);
}

static void a_seed_is_that_of_the_text(void **state)
{
	(void)state;
	struct job j;
	unsigned char text[12 + 32 + 6] = "talkoot-seed";

	assert_int_equal(read_changed(&j, "{}"), 0);
	memcpy(text + 12, j.id.b, 32);
	memcpy(text + 44, "123456", 6);
	struct digest mine = job_seed(&j, 123456), book = digest_of(text, sizeof(text));
	assert_true(digest_equal(&mine, &book));
	text[44] = '0';
	mine = job_seed(&j, 0);
	book = digest_of(text, 45);
	assert_true(digest_equal(&mine, &book));
	/* and one known number: the id all zero, index 7, by sha256sum */
	struct job fixed = { .count = 8 };
	char hex[DIGEST_HEX + 1];
	mine = job_seed(&fixed, 7);
	digest_hex(hex, &mine);
	assert_string_equal(
		hex, "4f40e1e74c13430fa5b8a3f629a56e5c82b0aa0830001625ebeba5db3618daa4");
	job_release(&j);
}

/* --- outputs -------------------------------------------------------------------------------------
 */

static void globs_match_within_a_component_and_two_stars_across(void **state)
{
	(void)state;
	static const struct {
		const char *glob, *path;
		bool match;
	} cases[] = {
		{ "x", "x", true },
		{ "x", "xy", false },
		{ "xy", "x", false },
		{ "", "x", false },
		{ "", "", true },
		{ "*", "x", true },
		{ "*", "", true },
		{ "*", "a/b", false },
		{ "*/b", "a/b", true },
		{ "**", "a/b/c", true },
		{ "*.txt", "a.txt", true },
		{ "*.txt", ".txt", true },
		{ "*.txt", "a.txt.gz", false },
		{ "*.txt", "d/a.txt", false },
		{ "**.txt", "d/a.txt", true },
		{ "d/**", "d/a/b", true },
		{ "d/**", "d", false },
		{ "d/**", "d/", true },
		{ "**/x", "a/b/x", true },
		{ "**/x", "x", false },
		{ "a?c", "abc", true },
		{ "a?c", "a/c", false },
		{ "a?c", "ac", false },
		{ "a*c", "abbbc", true },
		{ "a*c", "ab/c", false },
		{ "a**c", "ab/c", true },
		{ "a***c", "a/b/c", true },
		{ "*a*b", "xaxbxb", true },
		{ "*a*b", "xaxbxc", false },
		{ "**a/*b", "q/a/xb", true },
		{ "a/*/c", "a/b/c", true },
		{ "a/*/c", "a//c", true },
		{ "a/*/c", "a/b/b/c", false },
		{ "[ab]", "a", false },
		{ "[ab]", "[ab]", true },
		{ "*?", "x", true },
		{ "*?", "", false },
		{ "?*", "xyz", true },
		{ "**?", "a/", false },
		{ "*a", "aaaa", true },
		{ "**", "", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *outputs[] = { (char *)(uintptr_t)cases[i].glob };
		struct job j = { .outputs = outputs, .n_outputs = 1 };

		if (job_declares(&j, cases[i].path) != cases[i].match)
			fail_msg("%s and %s", cases[i].glob, cases[i].path);
	}
	struct job none = { 0 };
	assert_false(job_declares(&none, "x"));
}

static void many_stars_are_matched_right_and_soon(void **state)
{
	(void)state;
	char pattern[201], path[513];
	char *outputs[16];
	struct job j = { .outputs = outputs, .n_outputs = 16 };

	for (int i = 0; i < 198; i += 2)
		memcpy(pattern + i, "*a", 2);
	strcpy(pattern + 198, "*b");
	memset(path, 'a', 512);
	path[512] = '\0';
	for (int i = 0; i < 16; i++)
		outputs[i] = pattern;
	clock_t start = clock();
	assert_false(job_declares(&j, path));
	assert_true(clock() - start < CLOCKS_PER_SEC / 2);
	path[511] = 'b';
	assert_true(job_declares(&j, path)); /* backtracking with a budget said no */
	char long_pattern[300];
	memset(long_pattern, '*', 299);
	long_pattern[299] = '\0';
	outputs[0] = long_pattern;
	j.n_outputs = 1;
	assert_false(job_declares(&j, path)); /* its shape would not have let it in */
}

static void a_blob_descriptor_round_trips(void **state)
{
	(void)state;
	struct blob b = { .digest = digest_of("a", 1),
		.root = digest_of("b", 1),
		.size = BLOB_SIZE_MAX },
		    back;
	auto_json json_t *j = blob_to_json(&b);

	blob_from_json(&back, j);
	assert_true(digest_equal(&b.digest, &back.digest) && digest_equal(&b.root, &back.root) &&
		    b.size == back.size);
	blob_from_json(&back, NULL);
	assert_int_equal(back.size, 0);
}

/* --- executables ---------------------------------------------------------------------------------
 */

static char *first_bytes(const char *path, size_t *n)
{
	char *bytes = xmalloc(4096);
	FILE *f = fopen(path, "r");

	if (!f) {
		free(bytes);
		return NULL;
	}
	*n = fread(bytes, 1, 4096, f);
	fclose(f);
	return bytes;
}

static enum elf_kind look(const void *bytes, size_t n, char platform[40])
{
	auto_free char *copy = xmalloc(n); /* exactly n bytes, so that ASan sees a read beyond */

	if (n)
		memcpy(copy, bytes, n);
	return elf_look(copy, n, platform);
}

static void programs_are_told_apart(void **state)
{
	(void)state;
	char platform[40];
	size_t n;
	auto_free char *dynamic = first_bytes("/bin/ls", &n);
	assert_int_equal(look(dynamic, n, platform), ELF_DYNAMIC);
	assert_string_equal(platform, platform_here());
	auto_free char *fixed = first_bytes("/bin/busybox", &n);
	if (fixed) {
		assert_int_equal(look(fixed, n, platform), ELF_STATIC);
		assert_string_equal(platform, platform_here());
	}
	assert_int_equal(look("#!/bin/sh\n", 10, platform), ELF_SCRIPT);
	assert_int_equal(look("#!", 2, platform), ELF_SCRIPT);
	assert_int_equal(look("#", 1, platform), ELF_NOT);
	assert_int_equal(look("", 0, platform), ELF_NOT);
	assert_int_equal(
		look("garbage garbage garbage garbage garbage garbage garbage garbage garbage", 70,
			platform),
		ELF_NOT);
	assert_string_equal(platform, "");
}

static void a_truncated_program_is_read_no_further_than_it_goes(void **state)
{
	(void)state;
	char platform[40];
	size_t n;
	auto_free char *bytes = first_bytes("/bin/ls", &n);

	for (size_t i = 0; i < n; i++) {
		enum elf_kind kind = look(bytes, i, platform);

		if (i < sizeof(Elf64_Ehdr))
			assert_int_equal(kind, ELF_NOT);
		assert_true(kind == ELF_NOT || kind == ELF_STATIC || kind == ELF_DYNAMIC);
	}
}

static void headers_that_lie_are_survived(void **state)
{
	(void)state;
	static const uint64_t offsets[] = { 0, 1, 63, 64, 4000, 4096, 4097, UINT64_MAX,
		UINT64_MAX - 55, UINT64_MAX - 56 * 64 };
	static const uint16_t counts[] = { 0, 1, 127, 128, 129, 0xffff };
	char bytes[4096] = "", platform[40];
	Elf64_Ehdr head = {
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phentsize = sizeof(Elf64_Phdr)
	};

	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++)
		for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
			head.e_phoff = offsets[i];
			head.e_phnum = counts[k];
			memcpy(bytes, &head, sizeof(head));
			look(bytes, sizeof(bytes), platform);
			look(bytes, sizeof(head), platform);
		}
	head.e_phoff = 4096 - 55; /* the box reads 4096 bytes and would refuse it */
	head.e_phnum = 1;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_NOT);
	head.e_phoff = 64;
	head.e_phnum = 0;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_NOT);
	head.e_phnum = 1;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_STATIC);
	assert_string_equal(platform, "x86_64-linux");
	Elf64_Phdr part = { .p_type = PT_INTERP };
	memcpy(bytes + 64, &part, sizeof(part));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_DYNAMIC);
	head.e_machine = EM_AARCH64;
	memcpy(bytes, &head, sizeof(head));
	look(bytes, sizeof(bytes), platform);
	assert_string_equal(platform, "aarch64-linux");
	head.e_machine = EM_386;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_FOREIGN);
	head.e_machine = EM_X86_64;
	head.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_FOREIGN);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_type = ET_REL;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(look(bytes, sizeof(bytes), platform), ELF_NOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_is_read_field_by_field),
		cmocka_unit_test(what_makes_no_sense_is_refused_by_field),
		cmocka_unit_test(sources_and_local_data_are_read),
		cmocka_unit_test(outputs_are_compared_by_the_first_glob_that_matches),
		cmocka_unit_test(bits_are_a_set_with_names),
		cmocka_unit_test(what_belongs_to_later_is_refused_by_name),
		cmocka_unit_test(an_images_program_is_a_path_in_it),
		cmocka_unit_test(a_tree_is_kept_under_the_digests_of_its_layers_in_order),
		cmocka_unit_test(only_a_job_message_is_a_job_and_only_up_to_64_kib),
		cmocka_unit_test(naughty_names_are_names),
		cmocka_unit_test(placeholders_are_replaced_and_other_braces_stay),
		cmocka_unit_test(a_range_has_its_indices_and_no_others),
		cmocka_unit_test(in_a_product_the_last_parameter_varies_fastest),
		cmocka_unit_test(a_product_has_a_million_tasks_at_most_and_does_not_overflow),
		cmocka_unit_test(a_list_gives_each_task_its_line),
		cmocka_unit_test(in_a_retry_index_is_the_number_of_the_task_tried_again),
		cmocka_unit_test(a_retry_must_be_understood_and_has_a_list),
		cmocka_unit_test(a_value_is_not_replaced_again),
		cmocka_unit_test(a_bad_list_line_is_named),
		cmocka_unit_test(a_list_line_may_be_64_kib_and_no_more),
		cmocka_unit_test(a_lists_lines_are_exactly_as_many_as_it_says),
		cmocka_unit_test(every_blob_of_a_job_is_visited),
		cmocka_unit_test(placeholders_cannot_ask_for_a_gigabyte),
		cmocka_unit_test(all_arguments_together_are_a_megabyte_at_most),
		cmocka_unit_test(a_seed_is_that_of_the_text),
		cmocka_unit_test(globs_match_within_a_component_and_two_stars_across),
		cmocka_unit_test(many_stars_are_matched_right_and_soon),
		cmocka_unit_test(a_blob_descriptor_round_trips),
		cmocka_unit_test(programs_are_told_apart),
		cmocka_unit_test(a_truncated_program_is_read_no_further_than_it_goes),
		cmocka_unit_test(headers_that_lie_are_survived),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
