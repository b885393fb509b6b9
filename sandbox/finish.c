/* SPDX-License-Identifier: Apache-2.0
 *
 * finish.c: see finish.h.
 */
#include "sandbox/finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t wrote = write(fd, text, n);

		if (wrote < 0)
			return -1;
		text += wrote;
		n -= (size_t)wrote;
	}
	return 0;
}

/* 0, or -1 when there is a report to write and it could not be. */
static int tell(const struct ending *e, const struct verdict *v, int fd)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f;
	int rc;

	if (fd < 0)
		return 0;
	f = open_memstream(&text, &n);
	rc = !f || report_write(f, e, v) ? -1 : 0;
	if (f && fclose(f))
		rc = -1;
	if (rc == 0 && write_all(fd, text, n))
		rc = -1;
	free(text);
	return rc;
}

static int judge_and_tell(const struct ending *e, const struct spec *s, const struct given *g)
{
	struct verdict v = report_judge(e, &s->limits);

	if (e->why.text[0])
		fprintf(stderr, "talkoot-sandbox: %s\n", e->why.text);
	if (tell(e, &v, g->report))
		perror("talkoot-sandbox: --report");
	return v.code;
}

int finish_box(struct watch *k, const struct spec *s, const struct given *g)
{
	struct ending *e = watch_ending(k);
	int code;

	watch_collect(k);
	code = judge_and_tell(e, s, g);
	collect_release(&e->out);
	return code;
}

int finish_nothing(const struct why *w, const struct spec *s, const struct given *g)
{
	struct ending e = { .failed = true, .why = *w };

	return judge_and_tell(&e, s, g);
}
