/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_listed.c: see pack_listed.h.
 */
#include "jobs/pack_listed.h"

#include "common/buf.h"
#include "jobs/pack_home.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct left {
	struct buf text;
	size_t n;
};

static bool goes_along(const struct pack_where *w, struct pack_plan *p, const char *path)
{
	auto_free char *place = pack_place(w, path);

	return pack_plan_has(p, place);
}

static void look_into(struct left *left, const struct pack_where *w, struct pack_plan *p,
	const struct touches *touched, const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		auto_free char *path = xprintf("%s/%s", folder, names[i]->d_name);
		struct look l = { FILE_NONE, 0, 0, NULL };

		free(names[i]);
		w->look(w->arg, path, &l);
		base_free(&l.text);
		if (l.kind != FILE_REGULAR || touches_has(touched, path) || goes_along(w, p, path))
			continue;
		if (left->n++ < LISTED_NAMES_MAX)
			buf_printf(&left->text, "%s%s", left->n > 1 ? ", " : "", path);
	}
	if (n >= 0)
		free(names);
}

char *listed_left(const struct pack_where *w, struct pack_plan *p, const struct touches *touched)
{
	struct left left = { .n = 0 };

	for (size_t i = 0; i < touched->n; i++) {
		auto_free char *folder = touched->at[i].how & TOUCH_LIST
		                                 ? realpath(touched->at[i].path, NULL)
		                                 : NULL;

		if (folder && work_has(w, folder) && strcmp(folder, w->cwd) != 0)
			look_into(&left, w, p, touched, folder);
	}
	if (left.n > LISTED_NAMES_MAX)
		buf_printf(&left.text, " and %zu more", left.n - LISTED_NAMES_MAX);
	return left.n ? buf_take(&left.text) : NULL;
}
