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

/* Where reports are composed, so that each is written at once. Kept: its memory, asked of the kernel for each box anew, would
 * be a tenth of what a box costs. */
static struct {
	FILE *f;
	char *text;
	size_t n;
} page;

static void page_drop(void)
{
	if (page.f)
		fclose(page.f);
	free(page.text);
	page.f = NULL;
	page.text = NULL;
}

/* 0, or -1 when there is a report to write and it could not be. */
static int tell(const struct ending *e, const struct verdict *v, int fd)
{
	if (fd < 0)
		return 0;
	if (!page.f)
		page.f = open_memstream(&page.text, &page.n);
	if (page.f && fseeko(page.f, 0, SEEK_SET) == 0 && report_write(page.f, e, v) == 0)
		return write_all(fd, page.text, page.n);
	page_drop();
	return -1;
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
