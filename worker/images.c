/* SPDX-License-Identifier: Apache-2.0
 *
 * images.c: see images.h.
 */
#include "worker/images.h"
#include "worker/discard.h"
#include "worker/waiters.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_FILE_MAX 128
#define BOOT_MAX 40
#define OVER_MAX 64 /* remembered at once */
#define UNPACKING_MAX 2 /* at once: a stream counts against --disk when it is whole, and has up to half of it */

enum image_state { IMAGE_FETCHING, IMAGE_FETCHED, IMAGE_UNPACKING, IMAGE_HERE, IMAGE_OVER };

struct image_want {
	struct waiter waiter;
	struct image *image;
};

struct image {
	struct images *all;
	char name[DIGEST_HEX + 1];
	char *folder;
	enum image_state state;
	struct blob *layers;
	struct want **fetching; /* the layers, pinned until the tree is there */
	size_t n, missing;
	struct unpack *unpack;
	int64_t bytes;
	int64_t used_ms;  /* HERE: wall clock; 0 elsewhere */
	int64_t until_ms; /* OVER: not tried again before, monotonic */
	struct err e;     /* of OVER */
	struct waiters wants;
	struct timer *tell;
	struct image *next;
};

struct images {
	struct unpack_conf conf;
	char boot[BOOT_MAX];
	struct image *list;
	struct discards *discards;
};

int64_t image_patience_ms(enum err_code code)
{
	if (code == ERR_PROGRAM)
		return IMAGES_REFUSED_MS;
	return code == ERR_TOO_DEMANDING || code == ERR_FULL ? IMAGES_LARGE_MS : IMAGES_TROUBLE_MS;
}

/* --- KEY.size ----------------------------------------------------------------------------------------------- */

char *image_size_text(int64_t bytes, const char *boot)
{
	return xprintf("%lld %s\n", (long long)bytes, boot);
}

int image_size_read(int64_t *bytes, const char *text, const char *boot)
{
	const char *space = strchr(text, ' ');
	auto_free char *number = space ? xmemdup(text, (size_t)(space - text)) : NULL;
	size_t n = strlen(boot);

	if (!number || !int_parse(bytes, number, 0, INT64_C(1) << 50))
		return -1;
	return *boot && !strncmp(space + 1, boot, n) && !strcmp(space + 1 + n, "\n") ? 0 : -1;
}

/* "" where the kernel does not say: then no tree outlives its worker. */
static void read_boot(char boot[BOOT_MAX])
{
	auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, BOOT_MAX - 1);

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

static char *path_of(const struct images *all, const char *name, const char *suffix)
{
	return xprintf("%s/%s%s", all->conf.dir, name, suffix);
}

/* --- one image -------------------------------------------------------------------------------------------------- */

static struct image *find(const struct images *all, const char *name)
{
	struct image *i = all->list;

	while (i && strcmp(i->name, name) != 0)
		i = i->next;
	return i;
}

static void free_fetching(struct image *i)
{
	for (size_t k = 0; k < i->n; k++)
		want_free(TAKE(i->fetching[k]));
}

static void image_free(struct image *i)
{
	struct image **at = &i->all->list;

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	free_fetching(i);
	unpack_free(i->unpack);
	timer_free(i->tell);
	free(i->fetching);
	free(i->layers);
	free(i->folder);
	free(i);
}

static void uncount(struct image *i)
{
	struct err e;

	cache_beside(i->all->conf.cache, -i->bytes, &e);
	i->bytes = 0;
}

/* Nobody has it. */
static void give_up(struct image *i)
{
	auto_free char *size = path_of(i->all, i->name, ".size");

	unlink(size);
	discard(i->all->discards, i->name, "");
	uncount(i);
	image_free(i);
}

/* Or it is kept for what it is, or on its way. */
static bool is_remembered(const struct image *i)
{
	return i->state != IMAGE_OVER || clock_mono_ms() < i->until_ms;
}

static void tell(void *arg)
{
	struct image *i = arg;

	waiters_tell(&i->wants, i->state == IMAGE_OVER ? &i->e : NULL);
	if (waiters_none(&i->wants) && !is_remembered(i))
		image_free(i);
}

/* e NULL: it is here. */
static void settle(struct image *i, const struct err *e, int64_t patience_ms)
{
	free_fetching(i);
	i->state = e ? IMAGE_OVER : IMAGE_HERE;
	if (e)
		i->e = *e;
	i->until_ms = clock_mono_ms() + patience_ms;
	timer_in(i->tell, 0);
}

/* Its time is when a task had it last. */
static void touch(struct image *i)
{
	auto_free char *size = path_of(i->all, i->name, ".size");

	i->used_ms = clock_now_ms();
	if (i->state == IMAGE_HERE && utimensat(AT_FDCWD, size, NULL, 0))
		log_debug("%s: %s", size, strerror(errno));
}

static int keep_tree(struct image *i, struct err *e)
{
	auto_free char *tree = path_of(i->all, i->name, ".new"),
		       *size = path_of(i->all, i->name, ".size");
	auto_free char *text = image_size_text(i->bytes, i->all->boot);

	if (chmod(tree, 0755) || rename(tree, i->folder))
		return err_sys(e, "keeping %s", i->folder);
	return file_write_atomic(size, text, strlen(text), 0600, e);
}

static void unpack_next(struct images *all);

static void on_unpacked(void *arg, const struct err *why, int64_t bytes)
{
	struct image *i = arg;
	struct err e;

	i->unpack = NULL;
	unpack_next(i->all); /* this one stands in the list as being unpacked yet, but its child is gone */
	if (why)
		e = *why;
	else
		i->bytes = bytes;
	if (!why && !keep_tree(i, &e)) {
		log_info("image %.12s is unpacked: %lld MiB in %zu layers", i->name,
			(long long)(bytes / MIB), i->n);
		settle(i, NULL, 0);
		touch(i);
		return;
	}
	log_warn("image %.12s: %s", i->name, e.msg);
	uncount(i);
	discard(i->all->discards, i->name, ".new");
	settle(i, &e, image_patience_ms(e.code));
}

static void unpack(struct image *i)
{
	struct err why;

	i->state = IMAGE_UNPACKING;
	if (unpack_start(&i->unpack, &i->all->conf, i->name, i->layers, i->n, on_unpacked, i, &why))
		settle(i, &why, image_patience_ms(why.code));
}

/* In the order in which they were wanted. */
static void unpack_next(struct images *all)
{
	int n = 0;

	for (const struct image *i = all->list; i; i = i->next)
		n += i->unpack != NULL;
	for (struct image *i = all->list; i && n < UNPACKING_MAX; i = i->next)
		if (i->state == IMAGE_FETCHED) {
			unpack(i);
			n += i->unpack != NULL;
		}
}

static void on_layer(void *arg, const struct err *e)
{
	struct image *i = arg;

	if (i->state != IMAGE_FETCHING)
		return;
	if (e) {
		settle(i, e, 0);
		return;
	}
	if (--i->missing)
		return;
	i->state = IMAGE_FETCHED;
	unpack_next(i->all);
}

static struct image *image_new(struct images *all, const char *name)
{
	struct image *i = xcalloc(1, sizeof(*i)), **at = &all->list;

	i->all = all;
	snprintf(i->name, sizeof(i->name), "%s", name);
	i->folder = path_of(all, name, "");
	i->tell = timer_new(all->conf.loop, tell, i);
	while (*at)
		at = &(*at)->next;
	*at = i;
	return i;
}

static struct image *image_begin(struct images *all, const char *name, const struct job_image *from)
{
	struct image *i = image_new(all, name);

	i->n = i->missing = from->n_layers;
	i->layers = xcalloc(i->n, sizeof(*i->layers));
	memcpy(i->layers, from->layers, i->n * sizeof(*i->layers));
	i->fetching = xcalloc(i->n, sizeof(*i->fetching));
	for (size_t k = 0; k < i->n; k++)
		i->fetching[k] = cache_want(all->conf.cache, &i->layers[k], on_layer, i);
	return i;
}

/* --- wants -------------------------------------------------------------------------------------------------------- */

/* An image that is over and that nobody waits for: an old refusal, or the oldest of too many. */
static void forget_refused(struct images *all)
{
	struct image *i, *next, *first = NULL;
	size_t n = 0;

	for (i = all->list; i; i = next) {
		next = i->next;
		if (i->state != IMAGE_OVER || !waiters_none(&i->wants))
			continue;
		if (!is_remembered(i)) {
			image_free(i);
			continue;
		}
		first = first ? first : i;
		n++;
	}
	if (n > OVER_MAX)
		image_free(first);
}

struct image_want *images_want(
	struct images *all, const struct job_image *image, image_fn *fn, void *arg)
{
	struct digest key = job_image_key(image);
	struct image_want *w = xcalloc(1, sizeof(*w));
	char name[DIGEST_HEX + 1];
	struct image *i;

	digest_hex(name, &key);
	forget_refused(all);
	i = find(all, name);
	if (!i)
		i = image_begin(all, name, image);
	w->image = i;
	waiters_add(&i->wants, &w->waiter, fn, arg);
	touch(i);
	if (i->state >= IMAGE_HERE)
		timer_in(i->tell, 0);
	return w;
}

/* What is being unpacked is finished, for it is paid for already; what is only fetched is not. */
void image_want_free(struct image_want *w)
{
	struct image *i = w ? w->image : NULL;

	if (!w)
		return;
	waiters_drop(&i->wants, &w->waiter);
	if (!waiters_none(&i->wants))
		return;
	if (i->state < IMAGE_UNPACKING || !is_remembered(i))
		image_free(i);
	else
		touch(i);
}

const char *image_folder(const struct image_want *w)
{
	return w->image->folder;
}

size_t images_count(const struct images *all, int64_t *bytes)
{
	size_t n = 0;

	*bytes = 0;
	for (const struct image *i = all->list; i; i = i->next) {
		n += i->state == IMAGE_HERE;
		*bytes += i->state == IMAGE_HERE ? i->bytes : 0;
	}
	return n;
}

/* The cache needs room: the tree that no task has had for the longest time. */
static bool spare(void *arg)
{
	struct images *all = arg;
	struct image *oldest = NULL;

	for (struct image *i = all->list; i; i = i->next)
		if (i->state == IMAGE_HERE && waiters_none(&i->wants) &&
			(!oldest || i->used_ms < oldest->used_ms))
			oldest = i;
	if (!oldest)
		return false;
	log_info("image %.12s is removed: room is needed", oldest->name);
	give_up(oldest);
	return true;
}

/* --- what an earlier process left --------------------------------------------------------------------------------- */

static bool is_key(const char *name)
{
	struct digest d;

	return strlen(name) == DIGEST_HEX && digest_from_hex(&d, name);
}

/* A whole tree of this boot. */
static bool take_up(struct images *all, const char *name)
{
	auto_free char *path = path_of(all, name, ".size"), *text = NULL;
	struct image *i;
	struct stat st;
	int64_t bytes;
	struct err e;
	size_t n;

	if (!is_key(name) || stat(path, &st) || file_read(&text, &n, path, SIZE_FILE_MAX, &e) ||
		image_size_read(&bytes, text, all->boot))
		return false;
	i = image_new(all, name);
	i->state = IMAGE_HERE;
	i->bytes = bytes;
	i->used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	blobs_beside(cache_blobs(all->conf.cache), bytes);
	return true;
}

static void look_at(struct images *all, const char *name)
{
	static const char suffix[] = ".size";
	size_t n = strlen(name);

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "gone") ||
		!strcmp(name, "going"))
		return;
	if (n == DIGEST_HEX + sizeof(suffix) - 1 && !strcmp(name + DIGEST_HEX, suffix))
		return; /* of a tree; one without is replaced when it is made */
	if (!take_up(all, name))
		discard(all->discards, name, "");
}

static int look_around(struct images *all, struct err *e)
{
	DIR *d = opendir(all->conf.dir);
	struct dirent *entry;

	if (!d)
		return err_sys(e, "looking into %s", all->conf.dir);
	while ((entry = readdir(d)))
		look_at(all, entry->d_name);
	closedir(d);
	discards_begin(all->discards);
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

int images_open(struct images **out, const struct unpack_conf *conf, struct err *e)
{
	struct images *all = xcalloc(1, sizeof(*all));

	all->conf = *conf;
	all->discards = discards_new(conf->loop, conf->dir, conf->guard);
	read_boot(all->boot);
	if (make_dirs(conf->dir, 0755, e) || look_around(all, e)) {
		images_close(all);
		return -1;
	}
	cache_on_full(conf->cache, spare, all);
	*out = all;
	return 0;
}

void images_close(struct images *all)
{
	if (!all)
		return;
	cache_on_full(all->conf.cache, NULL, NULL);
	while (all->list) {
		waiters_drop_all(&all->list->wants);
		image_free(all->list);
	}
	discards_free(all->discards);
	free(all);
}
