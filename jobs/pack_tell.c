/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_tell.c: see pack_tell.h.
 */
#include "jobs/pack_tell.h"

#include "common/buf.h"

#include <string.h>

static const struct {
	const char *says, *advice; /* advice: what to do when it is missed */
} kinds[PACK_WHYS] = {
	[TOOK_HOME] = { "goes along from your home folder, as code", NULL },
	[TOOK_OUTSIDE] = { "goes along from outside of the working folder",
		"in the image it has the same full path, but by a path from the working folder it "
		"is not found: that is /work there" },
	[TOOK_SECRET] = { "goes along as --include asks, though not everybody here may read it",
		NULL },
	[LEFT_EXCLUDED] = { "left out, as --exclude asks", "without that --exclude it goes along" },
	[LEFT_KERNEL] = { "left out, this machine's own: the box has no such file",
		"no box has it: the program must do without" },
	[LEFT_BOX] = { "left out, the box has a folder of its own there",
		"keep it in the working folder" },
	[LEFT_WRITTEN] = { "left out, the run itself made or changed it",
		"what the program makes it must write to /out (results) or /tmp; what was there "
		"before goes along with --include" },
	[LEFT_HOME] = { "left out, of your home folder only code goes along",
		"copy it into the working folder, or say --include and name it by its full path: "
		"in the box HOME is /tmp" },
	[LEFT_SECRET] = { "left out, not everybody here may read it", "--include takes it along" },
	[LEFT_KIND] = { "left out, no regular file", "an image holds files, folders and links" },
	[LEFT_CLASH] = { "left out, another file has its place in the image",
		"start from another folder" },
};

char *tell_notes(const struct pack_plan *p, enum pack_why why)
{
	auto_buf struct buf b = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < p->n_notes; i++) {
		const struct pack_note *note = &p->notes[i];

		if (note->why != why || n++ >= TELL_NAMES_MAX)
			continue;
		buf_printf(&b, "%s%s", n > 1 ? ", " : "", note->path);
		if (note->n > 1 && why == TOOK_HOME)
			buf_printf(&b, " (%zu files)", note->n);
	}
	if (!n)
		return NULL;
	if (n > TELL_NAMES_MAX)
		buf_printf(&b, " and %zu more", n - TELL_NAMES_MAX);
	return xprintf("%s: %s", kinds[why].says, b.data);
}

/* Programs name what they miss by its path, or as they were given it: by its end at least. */
char *tell_missing(const struct pack_plan *p, const char *text)
{
	for (size_t i = 0; i < p->n_notes; i++) {
		const struct pack_note *note = &p->notes[i];
		const char *name = strrchr(note->path, '/');

		if (!kinds[note->why].advice || !name || !name[1] || !strstr(text, name + 1))
			continue;
		return xprintf(
			"%s: %s; %s", note->path, kinds[note->why].says, kinds[note->why].advice);
	}
	return NULL;
}
