/* SPDX-License-Identifier: Apache-2.0
 *
 * oci_write.c: see oci_write.h. The only file of the command line that knows libarchive.
 *
 *	TMP/tar-0    a layer's tar: its digest is the layer's diff_id
 *	TMP/layer-0  the same, compressed: its digest is the blob's
 *	TMP/image    the layout, until it gets its name
 */
#include "jobs/oci_write.h"

#include "common/buf.h"
#include "common/digest.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PIECE 65536
#define MTIME_MAX UINT32_MAX /* what a compiled file has room for */
#define BLOB_DIR "blobs/sha256"
#define MEDIA "application/vnd.oci.image."

/* A blob of the layout: a file, or a text. */
struct part {
	char *path, *text; /* either; yours */
	struct digest digest;
	int64_t size;
};

struct layer {
	struct part part;
	struct digest diff_id;
};

/* --- archives --------------------------------------------------------------------------------- */
static int archive_fails(struct archive *a, const char *what, struct err *e)
{
	const char *why = archive_error_string(a);

	return err_set(e, archive_errno(a) == ENOSPC ? ERR_FULL : ERR_SYSTEM, "writing %.200s: %s",
		what, why ? why : "unknown");
}

/* Closed and freed; -1 where that, or what came before (bad), failed. */
static int archive_end(struct archive *a, int bad, const char *what, struct err *e)
{
	if (!bad && archive_write_close(a) != ARCHIVE_OK)
		bad = archive_fails(a, what, e);
	archive_write_free(a);
	return bad;
}

/* A tar without compression. GNU's form keeps names as the bytes that they are. */
static struct archive *tar_open(const char *path, struct err *e)
{
	struct archive *a = archive_write_new();

	if (a && archive_write_set_format_gnutar(a) == ARCHIVE_OK &&
		archive_write_add_filter_none(a) == ARCHIVE_OK &&
		archive_write_open_filename(a, path) == ARCHIVE_OK)
		return a;
	if (a)
		(void)archive_end(a, archive_fails(a, path, e), path, e);
	else
		err_set(e, ERR_SYSTEM, "writing %s: libarchive has no memory", path);
	return NULL;
}

static int put_header(struct archive *a, const char *name, enum file_kind kind, unsigned mode,
	time_t mtime_s, int64_t size, const char *text, struct err *e)
{
	struct archive_entry *h = archive_entry_new();

	archive_entry_set_pathname(h, name);
	archive_entry_set_filetype(h, kind == FILE_FOLDER ? AE_IFDIR
				      : kind == FILE_LINK ? AE_IFLNK
							  : AE_IFREG);
	archive_entry_set_perm(h, (__LA_MODE_T)mode);
	archive_entry_set_mtime(h, mtime_s, 0);
	archive_entry_set_uid(h, 0);
	archive_entry_set_gid(h, 0);
	if (text)
		archive_entry_set_symlink(h, text);
	archive_entry_set_size(h, size);
	int bad = archive_write_header(a, h) == ARCHIVE_OK ? 0 : archive_fails(a, name, e);
	archive_entry_free(h);
	return bad;
}

static int put_bytes(
	struct archive *a, const void *bytes, size_t n, const char *name, struct err *e)
{
	return archive_write_data(a, bytes, n) == (la_ssize_t)n ? 0 : archive_fails(a, name, e);
}

/* Exactly `size` bytes of the file; -1: it cannot be read, or is shorter or longer. */
static int put_file(struct archive *a, const char *from, int64_t size, struct err *e)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	char piece[PIECE];
	ssize_t n = 0;

	if (fd < 0)
		return err_sys(e, "opening %s", from);
	for (; (n = read(fd, piece, sizeof(piece))) > 0 && n <= size; size -= n)
		if (put_bytes(a, piece, (size_t)n, from, e))
			return -1;
	if (n < 0)
		return err_sys(e, "reading %s", from);
	return size == 0 && n == 0
	               ? 0
	               : err_set(e, ERR_SYSTEM, "%s: it changes while it is packed", from);
}

/* --- layers ----------------------------------------------------------------------------------- */
/* Python takes a compiled file only where it remembers its source's time: without these each start compiles all that
 * it imports, which costs four times the start itself. In the system a source may be reached by a link that lies beside
 * the compiled file; in the working folder those without one have no time, for they come and go with each copy. */
static time_t time_of(const struct pack_plan *plan, const struct pack_entry *p)
{
	const char *dot = strrchr(p->to, '.');
	bool source = dot && !strcmp(dot, ".py");
	struct stat st;

	if (!p->from || !source || (p->layer == LAYER_WORK && !pack_plan_compiled(plan, p->to)) ||
		lstat(p->from, &st))
		return 0;
	return st.st_mtime > 0 && st.st_mtime <= MTIME_MAX ? st.st_mtime : 0;
}

static int put_entry(
	struct archive *a, const struct pack_plan *plan, const struct pack_entry *p, struct err *e)
{
	unsigned mode = p->kind == FILE_LINK                      ? 0777
	                : p->kind == FILE_FOLDER || p->executable ? 0755
	                                                          : 0644;

	if (put_header(a, p->to + 1, p->kind, mode, time_of(plan, p), p->size, p->text, e))
		return -1;
	return p->from ? put_file(a, p->from, p->size, e) : 0;
}

static int write_tar(
	const char *path, const struct pack_plan *plan, enum pack_layer layer, struct err *e)
{
	struct archive *a = tar_open(path, e);
	int bad = a ? 0 : -1;

	for (size_t i = 0; !bad && i < plan->n; i++)
		if (plan->entries[i].layer == layer)
			bad = put_entry(a, plan, &plan->entries[i], e);
	return a ? archive_end(a, bad, path, e) : -1;
}

/* One file, zstd-compressed: libarchive's "raw" has one nameless entry. */
static int compress(const char *to, const char *from, int64_t size, struct err *e)
{
	struct archive *a = archive_write_new();
	int bad = !a ? err_set(e, ERR_SYSTEM, "compressing: libarchive has no memory") : 0;

	if (!bad && (archive_write_set_format_raw(a) != ARCHIVE_OK ||
			    archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
			    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
			    archive_write_open_filename(a, to) != ARCHIVE_OK))
		bad = archive_fails(a, to, e);
	bad = bad || put_header(a, "layer", FILE_REGULAR, 0644, 0, size, NULL, e) ||
	                      put_file(a, from, size, e)
	              ? -1
	              : 0;
	return a ? archive_end(a, bad, to, e) : -1;
}

static int digest_file(const char *path, struct digest *d, int64_t *size, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "opening %s", path) : digest_fd(fd, d, NULL, size, e);
}

static int make_layer(struct layer *l, const struct pack_plan *plan, enum pack_layer which,
	const char *tmp, struct err *e)
{
	auto_free char *tar = xprintf("%s/tar-%d", tmp, which);
	int64_t size;

	l->part.path = xprintf("%s/layer-%d", tmp, which);
	if (write_tar(tar, plan, which, e) || digest_file(tar, &l->diff_id, &size, e) ||
		compress(l->part.path, tar, size, e))
		return -1;
	unlink(tar);
	return digest_file(l->part.path, &l->part.digest, &l->part.size, e);
}

/* --- the layout's texts ----------------------------------------------------------------------- */
static json_t *text_of_digest(const struct digest *d)
{
	char text[DIGEST_TEXT + 1];

	digest_text(text, d);
	return json_string(text);
}

static struct part part_of(json_t *j)
{
	struct part p = { .text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) };

	json_decref(j);
	p.text = p.text ? p.text : xstrdup("");
	p.size = (int64_t)strlen(p.text);
	p.digest = digest_of(p.text, strlen(p.text));
	return p;
}

static json_t *descriptor(const char *media, const struct part *p)
{
	auto_free char *type = xprintf("%s%s", MEDIA, media);

	return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest", text_of_digest(&p->digest),
		"size", (json_int_t)p->size);
}

/* As GOARCH has them: that is what OCI takes. */
static const char *architecture(void)
{
	static const struct {
		const char *machine, *name;
	} names[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
	static struct utsname u;

	(void)uname(&u);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].machine, u.machine))
			return names[i].name;
	return u.machine;
}

/* Words are any bytes, JSON is UTF-8. */
static json_t *texts_json(char *const *at, size_t n, struct err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(at[i]))) {
			json_decref(list);
			err_set(e, ERR_USAGE, "\"%.200s\" is not UTF-8: an image cannot hold it",
				at[i]);
			return NULL;
		}
	return list;
}

static int make_config(
	struct part *out, const struct oci_image *image, const struct layer *layers, struct err *e)
{
	auto_free char **words = xcalloc(image->command->n + 1, sizeof(*words));
	json_t *diffs = json_array(), *history = json_array(), *cmd, *env;

	for (size_t i = 0; i < image->command->n; i++)
		words[i] = (char *)(uintptr_t)image->command->at[i]; /* only read */
	for (size_t i = 0; i < PACK_LAYERS; i++) {
		json_array_append_new(diffs, text_of_digest(&layers[i].diff_id));
		json_array_append_new(history,
			json_pack("{s:s, s:s}", "created", "1970-01-01T00:00:00Z", "created_by",
				i == LAYER_WORK ? "talkoot pack: the working folder"
						: "talkoot pack: the system"));
	}
	cmd = texts_json(words, image->command->n, e);
	env = cmd ? texts_json(image->env->at, image->env->n, e) : NULL;
	if (!env) {
		json_decref(cmd);
		json_decref(diffs);
		json_decref(history);
		return -1;
	}
	*out = part_of(json_pack("{s:s, s:s, s:s, s:{s:o, s:o, s:s}, s:{s:s, s:o}, s:o}", "created",
		"1970-01-01T00:00:00Z", "architecture", architecture(), "os", "linux", "config",
		"Cmd", cmd, "Env", env, "WorkingDir", PACK_WORK, "rootfs", "type", "layers",
		"diff_ids", diffs, "history", history));
	return 0;
}

static struct part make_manifest(const struct part *config, const struct layer *layers)
{
	json_t *list = json_array();

	for (size_t i = 0; i < PACK_LAYERS; i++)
		json_array_append_new(list, descriptor("layer.v1.tar+zstd", &layers[i].part));
	return part_of(json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
		MEDIA "manifest.v1+json", "config", descriptor("config.v1+json", config), "layers",
		list));
}

static struct part make_index(const struct part *manifest)
{
	json_t *d = descriptor("manifest.v1+json", manifest);

	json_object_set_new(d, "annotations",
		json_pack("{s:s}", "org.opencontainers.image.ref.name", "latest"));
	json_object_set_new(d, "platform",
		json_pack("{s:s, s:s}", "architecture", architecture(), "os", "linux"));
	return part_of(json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType",
		MEDIA "index.v1+json", "manifests", d));
}

/* --- the layout ------------------------------------------------------------------------------- */
static int put_part(struct archive *a, const char *name, const struct part *p, struct err *e)
{
	if (put_header(a, name, FILE_REGULAR, 0644, 0, p->size, NULL, e))
		return -1;
	return p->path ? put_file(a, p->path, p->size, e)
	               : put_bytes(a, p->text, (size_t)p->size, name, e);
}

static int put_blob(struct archive *a, const struct part *p, struct err *e)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &p->digest);
	auto_free char *name = xprintf("%s/%s", BLOB_DIR, hex);
	return put_part(a, name, p, e);
}

static int write_layout(const char *path, const struct part *index, const struct part *manifest,
	const struct part *config, const struct layer *layers, struct err *e)
{
	static char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	const struct part layout = { .text = version, .size = (int64_t)sizeof(version) - 1 };
	struct archive *a = tar_open(path, e);

	if (!a)
		return -1;
	int bad = put_part(a, "oci-layout", &layout, e) || put_part(a, "index.json", index, e) ||
	          put_header(a, "blobs", FILE_FOLDER, 0755, 0, 0, NULL, e) ||
	          put_header(a, BLOB_DIR, FILE_FOLDER, 0755, 0, 0, NULL, e) ||
	          put_blob(a, manifest, e) || put_blob(a, config, e);
	for (size_t i = 0; !bad && i < PACK_LAYERS; i++)
		bad = put_blob(a, &layers[i].part, e);
	return archive_end(a, bad ? -1 : 0, path, e);
}

/* Durable under its name, or not there. */
static int name_it(const char *from, const char *to, int64_t *bytes, struct err *e)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || fsync(fd) || rename(from, to))
		return err_sys(e, "writing %s", to);
	*bytes = st.st_size;
	return 0;
}

int oci_write(const char *path, const struct oci_image *image, const char *tmp, int64_t *bytes,
	struct err *e)
{
	struct layer layers[PACK_LAYERS] = { 0 };
	struct part config = { 0 }, manifest = { 0 }, index = { 0 };
	auto_free char *whole = xprintf("%s/image", tmp);
	int bad = 0;

	for (int i = 0; !bad && i < PACK_LAYERS; i++)
		bad = make_layer(&layers[i], image->plan, (enum pack_layer)i, tmp, e);
	bad = bad || make_config(&config, image, layers, e);
	if (!bad) {
		manifest = make_manifest(&config, layers);
		index = make_index(&manifest);
		bad = write_layout(whole, &index, &manifest, &config, layers, e) ||
		      name_it(whole, path, bytes, e);
	}
	for (size_t i = 0; i < PACK_LAYERS; i++)
		base_free(&layers[i].part.path);
	base_free(&config.text);
	base_free(&manifest.text);
	base_free(&index.text);
	return bad ? -1 : 0;
}
