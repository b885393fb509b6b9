/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c: see report.h.
 *
 * A status alone proves little: a program may kill itself with any signal. So what we ended it
 * for comes first, then what only the kernel sends for a limit, then the status.
 */
#include "sandbox/report.h"

#include "sandbox/filter.h"

#include <signal.h>
#include <sys/wait.h>

static const char *const reasons[] = {
#define X(id, name) name,
	BOX_REASON_TABLE(X)
#undef X
};

const char *const report_layers[BOX_N_LAYERS] = {
#define X(id, name) name,
	BOX_LAYER_TABLE(X)
#undef X
};

/* Signals that tell a reason, for a program may not send them (policy.h). */
static const struct {
	int signal;
	enum box_reason reason;
} telling[] = {
	{ SIGXFSZ, BOX_REASON_DISK },
	{ SIGSYS, BOX_REASON_POLICY },
};

static enum box_reason of_signal(int sig, const struct ending *e, const struct box_limits *l)
{
	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		if (telling[i].signal == sig)
			return telling[i].reason;
	}
	/* RLIMIT_CPU's two ends; it may have sent them itself, so what it used has to agree */
	if ((sig == SIGKILL || sig == SIGXCPU) && e->cpu_us > l->cpu_s * 1000000)
		return BOX_REASON_CPU;
	return BOX_REASON_SIGNALED;
}

static enum box_reason reason_of(const struct ending *e, const struct box_limits *l)
{
	if (e->failed)
		return BOX_REASON_SETUP;
	if (e->limit != BOX_REASON_EXITED)
		return e->limit;
	if (e->starved)
		return BOX_REASON_MEMORY;
	if (e->asked)
		return BOX_REASON_SIGNALED;
	if (e->full)
		return BOX_REASON_DISK;
	if (!e->known)
		return BOX_REASON_SIGNALED;
	if (WIFSIGNALED(e->status))
		return of_signal(WTERMSIG(e->status), e, l);
	return BOX_REASON_EXITED;
}

/* The signal that ended it, as far as anybody can say. */
static int signal_of(const struct ending *e)
{
	if (e->asked)
		return e->asked;
	if (!e->known)
		return SIGKILL;
	return WIFSIGNALED(e->status) ? WTERMSIG(e->status) : 0;
}

static int code_of(const struct verdict *v)
{
	switch (v->reason) {
	case BOX_REASON_SETUP:
		return BOX_EXIT_SETUP;
	case BOX_REASON_EXITED:
		return v->exit;
	case BOX_REASON_SIGNALED:
	case BOX_REASON_POLICY:
		return 128 + v->signal;
	default:
		return BOX_EXIT_LIMIT;
	}
}

struct verdict report_judge(const struct ending *e, const struct box_limits *l)
{
	struct verdict v = { reason_of(e, l), 0, 0, 0 };

	if (!e->failed) {
		v.signal = signal_of(e);
		v.exit = e->known && !v.signal && WIFEXITED(e->status) ? WEXITSTATUS(e->status) : 0;
	}
	v.code = code_of(&v);
	return v;
}

void report_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f)
			fprintf(f, "\\u%04x", c);
		else
			fprintf(f, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	fputc('"', f);
}

static const char *const bits[BOX_N_BITS] = BOX_BITS_NAMES;

static void write_set(FILE *f, const char *name, unsigned set, const char *const *names, int n)
{
	const char *comma = "";

	fprintf(f, ",\"%s\":[", name);
	for (int i = 0; i < n; i++) {
		if (set & (1u << i)) {
			fprintf(f, "%s\"%s\"", comma, names[i]);
			comma = ",";
		}
	}
	fputs("]", f);
}

static void write_outputs(FILE *f, const struct collected *c)
{
	fprintf(f, ",\"taken\":%d,\"not_taken\":[", c->taken);
	for (int i = 0; i < c->not_taken && i < BOX_NOT_TAKEN_MAX; i++) {
		if (i > 0)
			fputc(',', f);
		report_string(f, c->names[i]);
	}
	fputs("]", f);
	if (c->not_taken > BOX_NOT_TAKEN_MAX)
		fprintf(f, ",\"not_taken_more\":%d", c->not_taken - BOX_NOT_TAKEN_MAX);
}

static void write_seconds(FILE *f, const char *name, int64_t us)
{
	fprintf(f, ",\"%s\":%lld.%06lld", name, (long long)(us / 1000000),
		(long long)(us % 1000000));
}

int report_write(FILE *f, const struct ending *e, const struct verdict *v)
{
	fprintf(f, "{\"exit\":%d,\"signal\":%d,\"reason\":\"%s\"", v->exit, v->signal,
		reasons[v->reason]);
	write_seconds(f, "cpu_s", e->cpu_us);
	write_seconds(f, "wall_s", e->wall_us);
	fprintf(f, ",\"max_rss_kib\":%lld", (long long)e->rss_kib);
	write_set(f, "layers", e->failed ? 0 : e->layers, report_layers, BOX_N_LAYERS);
	if (e->bits)
		write_set(f, "bits", e->failed ? 0 : e->bits, bits, BOX_N_BITS);
	fprintf(f, ",\"policy\":\"%s\"", filter_policy);
	write_outputs(f, &e->out);
	if (e->why.text[0]) {
		fputs(",\"why\":", f);
		report_string(f, e->why.text);
	}
	fputs("}\n", f);
	return fflush(f);
}
