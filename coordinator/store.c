/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c: the engine: one SQLite file, one writer, one transaction a turn. No other file names
 * SQLite.
 *
 * WAL with synchronous=FULL: a commit is on the disk when it returns. Automatic checkpoints are
 * off, because they would fall into a commit; store_checkpoint() does them when there is time.
 * Statements are prepared once; every value is bound.
 */
#include "coordinator/store_in.h"
#include "common/buf.h"
#include "common/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 3
#define STATEMENTS_MAX 256 /* a power of two, well above the number of literals */
#define BUSY_MS 5000       /* somebody reads the file with another program */
#define LOCK_TRIES 50      /* a second in all */
#define LOCK_STEP_MS 20

/* schema.sql, in the program byte for byte (the assembler reads it). */
__asm__(".section .rodata\n.global schema_sql\nschema_sql:\n.incbin \"coordinator/schema.sql\"\n"
	".global schema_sql_end\nschema_sql_end:\n.byte 0\n.previous\n");

struct store {
	sqlite3 *db;
	int lock;
	bool open;       /* a transaction is */
	struct err sick; /* the first thing that failed since the last commit */
	int wal_pages;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} cache[STATEMENTS_MAX];
};

static void fail(struct store *s, const char *doing)
{
	if (s->sick.code != ERR_NONE)
		return;
	int code = sqlite3_errcode(s->db) & 0xff;

	/* A full disk is SQLITE_FULL, or SQLITE_IOERR from a short write */
	err_set(&s->sick, code == SQLITE_FULL || code == SQLITE_IOERR ? ERR_FULL : ERR_SYSTEM,
		"the database, %s: %s", doing, sqlite3_errmsg(s->db));
}

static sqlite3_stmt *prepared(struct store *s, const char *sql)
{
	size_t i = ((uintptr_t)sql >> 3) * 2654435761u;

	for (i &= STATEMENTS_MAX - 1; s->cache[i].sql; i = (i + 1) & (STATEMENTS_MAX - 1))
		if (s->cache[i].sql == sql)
			return s->cache[i].stmt;
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->cache[i].stmt,
		    NULL) != SQLITE_OK) {
		fail(s, sql);
		return NULL;
	}
	s->cache[i].sql = sql;
	return s->cache[i].stmt;
}

static void bind_bytes(sqlite3_stmt *st, int i, const void *p, size_t n)
{
	if (p)
		sqlite3_bind_blob64(st, i, n ? p : "", n, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(st, i);
}

static void bind(sqlite3_stmt *st, const char *kinds, va_list ap)
{
	for (int i = 1; *kinds; i++, kinds++) {
		const void *p;

		switch (*kinds) {
		case 'i':
			sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 't':
			p = va_arg(ap, const char *);
			sqlite3_bind_text(st, i, p, -1, SQLITE_TRANSIENT);
			break;
		case 'd':
		case 'k':
			bind_bytes(st, i, va_arg(ap, const void *), 32);
			break;
		case 'l':
			bind_bytes(st, i, va_arg(ap, const void *), LEASE_ID_BYTES);
			break;
		case 'b':
			p = va_arg(ap, const void *);
			bind_bytes(st, i, p, va_arg(ap, size_t));
			break;
		}
	}
}

static void begin(struct store *s)
{
	if (s->open)
		return;
	s->open = true;
	if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		fail(s, "beginning");
}

int64_t run(struct store *s, const char *sql, const char *kinds, ...)
{
	begin(s);
	sqlite3_stmt *st = prepared(s, sql);
	va_list ap;

	if (!st || s->sick.code != ERR_NONE)
		return 0;
	va_start(ap, kinds);
	bind(st, kinds, ap);
	va_end(ap);
	int rc = sqlite3_step(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		fail(s, sql);
	sqlite3_reset(st);
	return sqlite3_last_insert_rowid(s->db);
}

static struct rows *begin_rows(struct store *s, const char *sql, const char *kinds, va_list ap)
{
	sqlite3_stmt *st = prepared(s, sql);

	if (st)
		bind(st, kinds, ap);
	return (struct rows *)st;
}

struct rows *ask(struct store *s, const char *sql, const char *kinds, ...)
{
	va_list ap;

	va_start(ap, kinds);
	struct rows *r = begin_rows(s, sql, kinds, ap);
	va_end(ap);
	return r;
}

bool rows_next(struct store *s, struct rows *r)
{
	int rc = r ? sqlite3_step((sqlite3_stmt *)r) : SQLITE_DONE;

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		fail(s, "reading");
	return rc == SQLITE_ROW;
}

void rows_end(struct rows *r)
{
	if (r)
		sqlite3_reset((sqlite3_stmt *)r);
}

int64_t ask_int(struct store *s, int64_t absent, const char *sql, const char *kinds, ...)
{
	va_list ap;

	va_start(ap, kinds);
	struct rows *r = begin_rows(s, sql, kinds, ap);
	va_end(ap);
	int64_t v = rows_next(s, r) ? col_int(r, 0) : absent;
	rows_end(r);
	return v;
}

int64_t col_int(struct rows *r, int i)
{
	return sqlite3_column_int64((sqlite3_stmt *)r, i);
}

const char *col_text(struct rows *r, int i)
{
	const unsigned char *t = sqlite3_column_text((sqlite3_stmt *)r, i);

	return t ? (const char *)t : "";
}

const void *col_bytes(struct rows *r, int i, size_t *n)
{
	const void *p = sqlite3_column_blob((sqlite3_stmt *)r, i);

	*n = (size_t)sqlite3_column_bytes((sqlite3_stmt *)r, i);
	return p;
}

void col_copy(struct rows *r, int i, void *out, size_t n)
{
	size_t len;
	const void *p = col_bytes(r, i, &len);

	memset(out, 0, n);
	if (p && len == n)
		memcpy(out, p, n);
}

void col_word(struct rows *r, int i, char *out, size_t size)
{
	snprintf(out, size, "%s", col_text(r, i));
}

/* --- opening ------------------------------------------------------------------------------ */
/* A coordinator that was killed may have left a child (contest.c) that has not closed its copy of the lock yet: it ends by
 * itself, so the lock is tried for a while. */
static int take_lock(int fd)
{
	const struct timespec pause = { 0, LOCK_STEP_MS * 1000000L };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static int lock_dir(int *out, const char *dir, struct err *e)
{
	auto_free char *path = xprintf("%s/lock", dir);
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "opening %s", path);
	if (take_lock(fd))
		return err_set(e, ERR_CONFLICT, "another talkoot-coordinator uses %s", dir);
	*out = fd;
	fd = -1;
	return 0;
}

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db, (void)name;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static int simple(struct store *s, const char *sql, struct err *e)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return err_set(e, ERR_SYSTEM, "the database: %s", sqlite3_errmsg(s->db));
}

/* Version 1 knew no relays: all came directly. */
static const char to_version_2[] =
	"BEGIN IMMEDIATE;"
	"ALTER TABLE worker ADD COLUMN relay INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE lease ADD COLUMN relay INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE result ADD COLUMN relay INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version = 2;"
	"COMMIT";
/* Version 2 knew no inputs from other jobs, and no checkpoints. */
static const char to_version_3[] =
	"BEGIN IMMEDIATE;"
	"ALTER TABLE job ADD COLUMN inputs BLOB;"
	"CREATE TABLE checkpoint (n INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES job (n), idx INTEGER NOT NULL,"
	" worker INTEGER NOT NULL REFERENCES worker (n), network INTEGER NOT NULL, owner INTEGER NOT NULL,"
	" relay INTEGER NOT NULL, digest BLOB NOT NULL CHECK (length(digest) = 32), size INTEGER NOT NULL,"
	" root BLOB NOT NULL, closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)));"
	"CREATE INDEX checkpoint_task ON checkpoint (job, idx);"
	"CREATE INDEX checkpoint_worker ON checkpoint (worker);"
	"ALTER TABLE job ADD COLUMN local TEXT;"
	"PRAGMA user_version = 3;"
	"COMMIT";

static int make_schema(struct store *s, struct err *e)
{
	int64_t version = ask_int(s, 0, "PRAGMA user_version", "");

	for (size_t i = 0; i < STATEMENTS_MAX;
		i++) { /* that statement must not outlive the change */
		sqlite3_finalize(s->cache[i].stmt);
		memset(&s->cache[i], 0, sizeof(s->cache[i]));
	}
	if (version == SCHEMA_VERSION)
		return 0;
	if (version == 1 || version == 2)
		return (version == 1 && simple(s, to_version_2, e)) || simple(s, to_version_3, e) ? -1 : 0;
	if (version != 0)
		return err_set(e, ERR_REFUSED,
			"the database is of version %d, this program knows %d", (int)version,
			SCHEMA_VERSION);
	return simple(s, "BEGIN IMMEDIATE", e) || simple(s, schema_sql, e) ||
	                       simple(s, "PRAGMA user_version = 3", e) || simple(s, "COMMIT", e)
	               ? -1
	               : 0;
}

static int open_db(struct store *s, const char *path, struct err *e)
{
	mode_t mask = umask(0077);
	int rc = sqlite3_open_v2(path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	umask(mask);
	if (rc != SQLITE_OK)
		return err_set(e, ERR_SYSTEM, "opening %s: %s", path, sqlite3_errmsg(s->db));
	sqlite3_busy_timeout(s->db, BUSY_MS);
	if (simple(s,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		    "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-65536; PRAGMA "
	            "trusted_schema=OFF",
		    e))
		return -1;
	sqlite3_wal_hook(s->db, note_wal, s);
	return make_schema(s, e);
}

int store_open(struct store **out, const char *dir, struct err *e)
{
	auto_free char *path = xprintf("%s/grid.db", dir);
	struct store *s = xcalloc(1, sizeof(*s));

	s->lock = -1;
	if (lock_dir(&s->lock, dir, e) || open_db(s, path, e)) {
		store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(s->cache[i].stmt);
	sqlite3_close(s->db); /* the last connection's close is a checkpoint */
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

/* --- transactions ------------------------------------------------------------------------- */
bool store_dirty(const struct store *s)
{
	return s->open || s->sick.code != ERR_NONE;
}

int store_commit(struct store *s, struct err *e)
{
	if (s->open && s->sick.code == ERR_NONE &&
		sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		fail(s, "committing");
	if (s->sick.code != ERR_NONE) {
		*e = s->sick;
		return -1;
	}
	s->open = false;
	return 0;
}

void store_rollback(struct store *s)
{
	if (s->db && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->open = false;
	s->sick = (struct err){ 0 };
}

void store_checkpoint(struct store *s, int pages)
{
	int left = 0, done = 0;

	if (s->open || s->wal_pages <= pages)
		return;
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &left, &done) !=
		SQLITE_OK)
		log_warn(
			"the database's journal could not be folded in: %s", sqlite3_errmsg(s->db));
	else
		s->wal_pages = left - done;
}

int64_t store_bytes(const struct store *s)
{
	struct stat st, wal;
	const char *path = sqlite3_db_filename(s->db, NULL);

	if (!path || stat(path, &st))
		return 0;
	auto_free char *journal = xprintf("%s-wal", path);
	return (int64_t)st.st_size + (stat(journal, &wal) ? 0 : (int64_t)wal.st_size);
}
