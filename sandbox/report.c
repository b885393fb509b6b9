/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c: a run as one JSON object, and as an exit code.
 */
#include "sandbox/filter.h"
#include "sandbox/launch.h"

#include <string.h>

static const char *const reasons[] = { BOX_REASONS };

/* Any bytes as a JSON text: what is not plain ASCII is shown as \u00XX, byte by byte. */
static void put_text(FILE *to, const char *s)
{
	fputc('"', to);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

static void put_layers(FILE *to, const struct run *r)
{
	static const char *const names[] = {
#define X(id, name) name,
		BOX_LAYER_TABLE(X)
#undef X
	};
	const bool there[BOX_N_LAYERS] = { r->space.user, r->space.pid, r->space.mount, r->space.mount,
		r->space.mount, r->space.mount, true, true, true, r->cgroup };
	const char *comma = "";

	for (size_t i = 0; i < BOX_N_LAYERS && r->started; i++)
		if (there[i]) {
			fprintf(to, "%s\"%s\"", comma, names[i]);
			comma = ",";
		}
}

void launch_report(FILE *to, const struct run *r, const struct spec *spec)
{
	const struct collect *c = &r->outputs;

	fprintf(to,
		"{\"exit\":%d,\"signal\":%d,\"reason\":\"%s\",\"cpu_s\":%.6f,\"wall_s\":%.6f,\"max_rss_kib\":%lld,"
		"\"layers\":[",
		r->exit, r->signal, reasons[r->reason], (double)r->cpu_us / 1e6, (double)r->wall_us / 1e6,
		(long long)r->max_rss_kib);
	put_layers(to, r);
	fprintf(to, "],\"policy\":\"%s\",\"profile\":\"%s\"", filter_policy,
		spec->profile == BOX_FILES ? "files" : "compute");
	if (r->reason == BOX_SETUP) {
		fprintf(to, ",\"why\":");
		put_text(to, r->fail.text);
	}
	if (c->n_not_taken) {
		fprintf(to, ",\"not_taken\":[");
		for (int i = 0; i < c->n_not_taken && i < COLLECT_NAMED_MAX; i++) {
			fputs(i ? "," : "", to);
			put_text(to, c->not_taken[i] ? c->not_taken[i] : "");
		}
		fprintf(to, "],\"not_taken_count\":%d", c->n_not_taken);
	}
	fprintf(to, "}\n");
}

int launch_exit(const struct run *r)
{
	switch (r->reason) {
	case BOX_EXITED:
		return r->exit;
	case BOX_SIGNALED:
	case BOX_POLICY:
		return 128 + r->signal;
	case BOX_SETUP:
		return BOX_EXIT_NOT_STARTED;
	default:
		return BOX_EXIT_LIMIT;
	}
}
