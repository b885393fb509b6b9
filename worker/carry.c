/* SPDX-License-Identifier: Apache-2.0
 *
 * carry.c: submitted jobs (carry_jobs.c) and their uploads (carry_tickets.c), kept on disk until carry_out.c has delivered
 * them. What is in a file is in memory too; both are made anew from the files at the start.
 */
#include "worker/carry_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/tus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct carry_limits carry_defaults = {
	.bytes = 1024 * MIB,
	.tickets = 8192,
	.tickets_each = 4096,
	.jobs = 64,
	.jobs_each = 16,
	.list_bytes = MIB,
	.refused = 64,
	.writing = 32,
	.leave_ms = 60 * 1000,
	.unfinished_ms = 3600 * 1000,
	.idle_ms = 24 * 3600 * 1000,
};

/* --- quotas ----------------------------------------------------------------------------------------------- */

int carry_admit_ticket(const struct carry_limits *l, int64_t bytes_now, int64_t size, int all,
	int of_author, struct err *e)
{
	if (all >= l->tickets || of_author >= l->tickets_each)
		return err_set(e, ERR_RATE,
			"this worker keeps as many uploads as it can; try another one");
	if (size > l->bytes - bytes_now)
		return err_set(e, ERR_FULL,
			"this worker keeps at most %lld bytes for others; try another one",
			(long long)l->bytes);
	return 0;
}

int carry_admit_job(const struct carry_limits *l, int all, int of_author, struct err *e)
{
	if (all < l->jobs && of_author < l->jobs_each)
		return 0;
	return err_set(e, ERR_RATE, "this worker carries as many jobs as it can; try another one");
}

/* --- files ------------------------------------------------------------------------------------------------ */

char *carry_path(
	const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, id);
	return xprintf("%s/%s/%s%s", c->dir, folder, hex, suffix);
}

void carry_forget(
	const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	auto_free char *path = carry_path(c, folder, id, suffix);

	if (unlink(path) && errno != ENOENT)
		log_error("removing %s: %s", path, strerror(errno));
}

/* How many files the folder has; the name of the one that is oldest into `oldest`. */
static int count_files(const char *dir, char oldest[DIGEST_HEX + 1])
{
	DIR *d = opendir(dir);
	struct timespec first = { 0 };
	struct dirent *entry;
	struct digest id;
	struct stat st;
	int n = 0;

	while (d && (entry = readdir(d))) {
		if (!digest_from_hex(&id, entry->d_name) ||
			fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (!n++ || st.st_mtim.tv_sec < first.tv_sec ||
			(st.st_mtim.tv_sec == first.tv_sec && st.st_mtim.tv_nsec < first.tv_nsec)) {
			first = st.st_mtim;
			digest_hex(oldest, &id);
		}
	}
	if (d)
		closedir(d);
	return n;
}

void carry_bound_refused(const struct carry *c)
{
	auto_free char *dir = xprintf("%s/refused", c->dir);
	char oldest[DIGEST_HEX + 1];

	while (count_files(dir, oldest) > c->limits.refused) {
		auto_free char *path = xprintf("%s/%s", dir, oldest);

		if (unlink(path)) {
			log_error("removing %s: %s", path, strerror(errno));
			return;
		}
	}
}

/* --- opening ---------------------------------------------------------------------------------------------- */

static int each_file(struct carry *c, const char *folder,
	void (*fn)(struct carry *c, const char *name), struct err *e)
{
	auto_free char *dir = xprintf("%s/%s", c->dir, folder);
	struct dirent *entry;
	DIR *d = make_dirs(dir, 0700, e) ? NULL : opendir(dir);

	if (!d)
		return err_sys(e, "reading %s", dir);
	while ((entry = readdir(d)))
		if (fn)
			fn(c, entry->d_name);
	closedir(d);
	return 0;
}

int carry_open(struct carry **out, const char *dir, const struct carry_limits *limits,
	struct loop *l, struct fetcher *f, struct home *h, const struct carry_fns *fns,
	struct err *e)
{
	struct carry *c = xcalloc(1, sizeof(*c));
	auto_free char *blobs = xprintf("%s/blobs", dir);

	*c = (struct carry){ .dir = xstrdup(dir),
		.limits = *limits,
		.loop = l,
		.fetcher = f,
		.home = h,
		.fns = *fns,
		.fd = -1,
		.seed = random_seed() };
	c->timer = timer_new(l, carry_next, c);
	if (blobs_open(&c->blobs, blobs, limits->bytes, e) ||
		each_file(c, "tickets", carry_take_ticket, e) || each_file(c, "jobs", carry_take_job, e) ||
		each_file(c, "refused", NULL, e)) {
		carry_close(c);
		return -1;
	}
	carry_sweep(c);
	carry_bound_refused(c);
	if (c->parcels)
		log_info("%zu submitted jobs of an earlier run wait to be delivered",
			carry_count(c));
	timer_in(c->timer, 0);
	*out = c;
	return 0;
}

void carry_close(struct carry *c)
{
	if (!c)
		return;
	if (c->tus)
		tus_cancel(c->tus);
	if (c->fetch)
		fetch_cancel(c->fetch);
	if (c->fd >= 0)
		close(c->fd);
	while (c->parcels) {
		struct parcel *p = c->parcels;

		c->parcels = p->next;
		parcel_free(p);
	}
	carry_leave_tickets(c);
	timer_free(c->timer);
	blobs_close(c->blobs);
	free(c->dir);
	free(c);
}
