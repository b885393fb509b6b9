/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.c: what an image says of itself.
 *
 *	OCI:      index.json  -->  (index ...  -->)  manifest  -->  config, layers    each by digest
 *	docker:   manifest.json                       -->  config, layers    each by path
 *
 * A document that is named by a digest is believed only when it has it.
 */
#include "image/layout.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define DIGEST_PREFIX "sha256:"

static void drop(json_t **j)
{
	json_decref(*j);
}
#define auto_json __attribute__((cleanup(drop)))

/* --- platforms ------------------------------------------------------------------------------------- */

bool layout_platform_read(struct layout_platform *p, const char *text)
{
	char *into[] = { p->os, p->architecture, p->variant };

	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < ARRAY_LEN(into); i++) {
		size_t n = strcspn(text, "/");

		if (n < 1 || n > LAYOUT_NAME_MAX)
			return false;
		memcpy(into[i], text, n);
		if (!text[n])
			return i > 0;
		text += n + 1;
	}
	return false;
}

struct layout_platform layout_platform_here(void)
{
	/* what uname calls it, what images do (Go's GOARCH) */
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" },
		{ "i686", "386" }, { "armv7l", "arm" }, { "loongarch64", "loong64" } };
	struct layout_platform p = { .os = "linux" };
	struct utsname u = { 0 };
	const char *is = u.machine;

	uname(&u);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(u.machine, names[i][0]))
			is = names[i][1];
	}
	snprintf(p.architecture, sizeof(p.architecture), "%.*s", LAYOUT_NAME_MAX, is);
	return p;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static bool is_for(const json_t *platform, const struct layout_platform *p)
{
	return !strcmp(text_of(platform, "os"), p->os) &&
	       !strcmp(text_of(platform, "architecture"), p->architecture) &&
	       (!p->variant[0] || !strcmp(text_of(platform, "variant"), p->variant));
}

/* --- documents ------------------------------------------------------------------------------------- */

static json_t *parse(const char *path, const char *text, size_t n, struct err *e)
{
	json_error_t why;
	json_t *j;

	if (n > LAYOUT_JSON_MAX) {
		err_set(e, ERR_TOO_BIG, "%s: is larger than %" PRId64 " bytes", name_shown(path),
			LAYOUT_JSON_MAX);
		return NULL;
	}
	j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!j)
		err_set(e, ERR_MALFORMED, "%s: is no JSON that we take (line %d)", name_shown(path),
			why.line);
	return j;
}

static json_t *get(const struct layout_source *s, const char *path, struct err *e)
{
	const char *text;
	size_t n;
	int got = s->get(s->from, path, &text, &n, e);

	if (got == 0)
		err_set(e, ERR_NOT_FOUND, "%s: is missing in the image", name_shown(path));
	return got > 0 ? parse(path, text, n, e) : NULL;
}

/* A descriptor's digest, as hex and as the blob's path. */
static int read_descriptor(
	const json_t *d, char hex[SHA_HEX + 1], char path[NAME_BYTES_MAX + 1], struct err *e)
{
	const char *digest = text_of(d, "digest");
	size_t n = strlen(digest);

	if (n != strlen(DIGEST_PREFIX) + SHA_HEX ||
		strncmp(digest, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) ||
		strspn(digest + strlen(DIGEST_PREFIX), "0123456789abcdef") != SHA_HEX)
		return err_set(e, ERR_MALFORMED,
			"digest '%s' is not sha256: and 64 lowercase hex digits",
			name_shown(digest));
	strcpy(hex, digest + strlen(DIGEST_PREFIX));
	snprintf(path, NAME_BYTES_MAX + 1, "blobs/sha256/%s", hex);
	return 0;
}

/* The document that a descriptor names, when it is what the descriptor says. */
static json_t *get_blob(const struct layout_source *s, const json_t *descriptor, struct err *e)
{
	char hex[SHA_HEX + 1], is[SHA_HEX + 1], path[NAME_BYTES_MAX + 1];
	const char *text;
	struct sha *sha;
	size_t n;
	int got;

	if (read_descriptor(descriptor, hex, path, e))
		return NULL;
	got = s->get(s->from, path, &text, &n, e);
	if (got <= 0) {
		if (got == 0)
			err_set(e, ERR_NOT_FOUND, "%s: is missing in the image", path);
		return NULL;
	}
	sha = sha_new();
	sha_add(sha, text, n);
	sha_end(sha, is);
	if (strcmp(is, hex)) {
		err_set(e, ERR_DIGEST, "%s: its bytes do not have that digest", path);
		return NULL;
	}
	return parse(path, text, n, e);
}

/* --- OCI: which manifest ----------------------------------------------------------------------------- */

struct choice {
	const struct layout_source *s;
	const struct layout_platform *want;
	json_t *only, *match; /* descriptors of manifests; owned */
	int seen, matches;    /* distinct ones */
	int told;             /* descriptors in all */
};

static bool same(const json_t *a, const json_t *b)
{
	return a && b && !strcmp(text_of(a, "digest"), text_of(b, "digest"));
}

static void keep(json_t **at, int *count, json_t *descriptor)
{
	if (same(*at, descriptor))
		return;
	json_decref(*at);
	*at = json_incref(descriptor);
	++*count;
}

static int look_at_index(struct choice *c, const json_t *index, int depth, struct err *e);

static int look_at(struct choice *c, json_t *descriptor, int depth, struct err *e)
{
	const char *type = text_of(descriptor, "mediaType");
	json_t *platform = json_object_get(descriptor, "platform");

	if (++c->told > LAYOUT_MANIFESTS_MAX)
		return err_set(e, ERR_TOO_BIG, "index.json: names more than %d manifests",
			LAYOUT_MANIFESTS_MAX);
	if (strstr(type, "image.index") || strstr(type, "manifest.list")) {
		auto_json json_t *below = get_blob(c->s, descriptor, e);

		return below ? look_at_index(c, below, depth + 1, e) : -1;
	}
	if (!strcmp(text_of(platform, "os"),
		    "unknown")) /* a signature or an attestation beside an image */
		return 0;
	keep(&c->only, &c->seen, descriptor);
	if (platform && is_for(platform, c->want))
		keep(&c->match, &c->matches, descriptor);
	return 0;
}

static int look_at_index(struct choice *c, const json_t *index, int depth, struct err *e)
{
	json_t *list = json_object_get(index, "manifests"), *descriptor;
	size_t i;

	if (depth > LAYOUT_INDEX_DEPTH)
		return err_set(e, ERR_MALFORMED,
			"index.json: indexes name indexes more than %d deep", LAYOUT_INDEX_DEPTH);
	if (!json_is_array(list) || !json_array_size(list))
		return err_set(e, ERR_MALFORMED, "index.json: names no manifests");
	json_array_foreach(list, i, descriptor) {
		if (look_at(c, descriptor, depth, e))
			return -1;
	}
	return 0;
}

/* The one manifest of the platform; of a single image whatever it is for. Borrowed from `c`, or NULL. */
static json_t *choose(struct choice *c, struct err *e)
{
	const struct layout_platform *p = c->want;

	if (c->matches == 1)
		return c->match;
	if (c->matches == 0 && c->seen == 1)
		return c->only;
	err_set(e, ERR_NOT_FOUND,
		c->matches
			? "index.json: has %d images for %s/%s: name one (--platform "
			  "OS/ARCHITECTURE/VARIANT), "
			  "or save one alone"
			: "index.json: has %d images, none for %s/%s (--platform OS/ARCHITECTURE)",
		c->matches ? c->matches : c->seen, name_shown(p->os), name_shown(p->architecture));
	return NULL;
}

/* --- the configuration ------------------------------------------------------------------------------- */

static json_t *words(const json_t *config, const char *name, struct err *e)
{
	json_t *list = json_object_get(config, name), *word;
	json_t *out = json_array();
	size_t i;

	if (list && !json_is_null(list) && !json_is_array(list))
		goto bad;
	json_array_foreach(list, i, word) {
		if (i == LAYOUT_WORDS_MAX || !json_is_string(word) ||
			json_string_length(word) > LAYOUT_WORD_MAX)
			goto bad;
		json_array_append(out, word);
	}
	return out;
bad:
	json_decref(out);
	err_set(e, ERR_FIELD, "config: %s is not a list of at most %d words", name,
		LAYOUT_WORDS_MAX);
	return NULL;
}

/* "/x/y", whatever slashes it was written with. */
static json_t *workdir(const json_t *config, struct err *e)
{
	char path[NAME_BYTES_MAX + 1];

	if (name_clean(path, text_of(config, "WorkingDir"), e)) {
		err_wrap(e, "config: WorkingDir");
		return NULL;
	}
	return json_sprintf("/%s", path); /* NULL when it is no UTF-8, which parsed JSON is */
}

static int write_json(
	struct layout *l, const json_t *document, const struct layout_platform *p, struct err *e)
{
	const json_t *config = json_object_get(document, "config");
	auto_json json_t *entrypoint = words(config, "Entrypoint", e);
	auto_json json_t *cmd = entrypoint ? words(config, "Cmd", e) : NULL;
	auto_json json_t *env = cmd ? words(config, "Env", e) : NULL;
	auto_json json_t *dir = env ? workdir(config, e) : NULL;
	auto_json json_t *out = NULL;
	char *text;

	if (!dir)
		return -1;
	out = json_pack("{s:O, s:O, s:O, s:O, s:i, s:s, s:s}", "entrypoint", entrypoint, "cmd", cmd,
		"env", env, "workdir", dir, "layers", l->n_layers ? l->n_layers : 1, "architecture",
		p->architecture, "os", p->os);
	text = out ? json_dumps(out, JSON_COMPACT) : NULL;
	if (!text)
		return err_set(e, ERR_MALFORMED, "config: cannot be written as JSON");
	l->json = xprintf("%s\n", text);
	free(text);
	return 0;
}

/* A configuration's platform is the image's, for an index may not tell it. */
static int read_config(
	struct layout *l, const json_t *config, const struct layout_platform *wanted, struct err *e)
{
	json_t *diffs = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	struct layout_platform is = { 0 };

	if (!json_is_object(config))
		return err_set(e, ERR_MALFORMED, "config: is no JSON object");
	if (strlen(text_of(config, "os")) > LAYOUT_NAME_MAX ||
		strlen(text_of(config, "architecture")) > LAYOUT_NAME_MAX)
		return err_set(e, ERR_FIELD, "config: os or architecture is longer than %d bytes",
			LAYOUT_NAME_MAX);
	strcpy(is.os, text_of(config, "os"));
	strcpy(is.architecture, text_of(config, "architecture"));
	if (wanted->os[0] && !is_for(config, wanted))
		return err_set(e, ERR_NOT_FOUND,
			"the image is for %s/%s, and not as --platform says", name_shown(is.os),
			name_shown(is.architecture));
	if (diffs && json_array_size(diffs) != (size_t)l->n_layers)
		return err_set(e, ERR_MALFORMED, "config: tells of %zu layers, and there are %d",
			json_array_size(diffs), l->n_layers);
	return write_json(l, config, &is, e);
}

/* --- layers ------------------------------------------------------------------------------------------- */

static int add_layer(struct layout *l, const char *path, const char *sha256, int64_t size)
{
	struct layout_layer *layer = &l->layers[l->n_layers++];

	layer->path = xstrdup(path);
	layer->size = size;
	strcpy(layer->sha256, sha256);
	return 0;
}

static int check_count(const json_t *list, const char *where, struct err *e)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n < 1 || n > MERGE_LAYERS_MAX)
		return err_set(e, ERR_MALFORMED, "%s: has no list of 1 to %d layers", where,
			MERGE_LAYERS_MAX);
	return 0;
}

static int read_oci_layers(struct layout *l, const json_t *manifest, struct err *e)
{
	json_t *list = json_object_get(manifest, "layers"), *d;
	char hex[SHA_HEX + 1], path[NAME_BYTES_MAX + 1];
	size_t i;

	if (check_count(list, "manifest", e))
		return -1;
	json_array_foreach(list, i, d) {
		json_t *size = json_object_get(d, "size");
		const char *type = text_of(d, "mediaType");

		if (*type && (!strstr(type, ".tar") || strstr(type, "encrypted")))
			return err_set(e, ERR_REFUSED, "layer %zu: is of type %s, not a tar", i,
				name_shown(type));
		if (read_descriptor(d, hex, path, e))
			return err_wrap(e, "layer %zu", i);
		if (!json_is_integer(size) || json_integer_value(size) < 0)
			return err_set(e, ERR_FIELD, "layer %zu: has no size", i);
		add_layer(l, path, hex, json_integer_value(size));
	}
	return 0;
}

static int read_oci(struct layout *l, const struct layout_source *s,
	const struct layout_platform *wanted, struct err *e)
{
	struct layout_platform here = layout_platform_here();
	auto_json json_t *index = get(s, "index.json", e);
	auto_json json_t *manifest = NULL, *config = NULL;
	struct choice c = { .s = s, .want = wanted->os[0] ? wanted : &here };
	json_t *chosen = NULL;

	if (index && !look_at_index(&c, index, 1, e))
		chosen = choose(&c, e);
	if (chosen)
		manifest = get_blob(s, chosen, e);
	json_decref(c.only);
	json_decref(c.match);
	if (!manifest || read_oci_layers(l, manifest, e))
		return -1;
	config = get_blob(s, json_object_get(manifest, "config"), e);
	return config ? read_config(l, config, wanted, e) : -1;
}

/* --- docker save ---------------------------------------------------------------------------------------- */

static int read_docker_layers(struct layout *l, const json_t *list, struct err *e)
{
	char path[NAME_BYTES_MAX + 1];
	json_t *name;
	size_t i;

	if (check_count(list, "manifest.json", e))
		return -1;
	json_array_foreach(list, i, name) {
		if (!json_is_string(name))
			return err_set(e, ERR_FIELD, "manifest.json: Layers[%zu] is no text", i);
		if (name_clean(path, json_string_value(name), e))
			return err_wrap(e, "manifest.json: Layers[%zu]", i);
		add_layer(l, path, "", -1);
	}
	return 0;
}

static int read_docker(struct layout *l, const struct layout_source *s,
	const struct layout_platform *wanted, struct err *e)
{
	auto_json json_t *manifest = get(s, "manifest.json", e);
	const json_t *image = json_array_get(manifest, 0);
	auto_json json_t *config = NULL;
	char path[NAME_BYTES_MAX + 1];

	if (!manifest)
		return -1;
	if (json_array_size(manifest) != 1 || !json_is_object(image))
		return err_set(e, ERR_MALFORMED,
			"manifest.json: has %zu images, and one is wanted: save one alone",
			json_array_size(manifest));
	if (name_clean(path, text_of(image, "Config"), e))
		return err_wrap(e, "manifest.json: Config");
	if (read_docker_layers(l, json_object_get(image, "Layers"), e))
		return -1;
	config = get(s, path, e);
	return config ? read_config(l, config, wanted, e) : -1;
}

/* --- whichever it is ------------------------------------------------------------------------------------ */

static int has(const struct layout_source *s, const char *path, struct err *e)
{
	const char *text;
	size_t n;

	return s->get(s->from, path, &text, &n, e);
}

int layout_read(struct layout *l, const struct layout_source *s,
	const struct layout_platform *wanted, struct err *e)
{
	struct layout_platform is = wanted->os[0] ? *wanted : layout_platform_here();
	int oci, docker;

	memset(l, 0, sizeof(*l));
	oci = has(s, "oci-layout", e);
	docker = oci ? 0 : has(s, "manifest.json", e);
	if (oci < 0 || docker < 0)
		return -1;
	if (oci)
		return read_oci(l, s, wanted, e);
	if (docker)
		return read_docker(l, s, wanted, e);
	return write_json(l, NULL, &is, e);
}

void layout_release(struct layout *l)
{
	for (int i = 0; i < l->n_layers; i++)
		free(l->layers[i].path);
	free(l->json);
	memset(l, 0, sizeof(*l));
}
