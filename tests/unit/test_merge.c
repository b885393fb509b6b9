/* SPDX-License-Identifier: Apache-2.0
 *
 * test_merge.c: (layer, path, kind) -> what survives.
 *
 * Layers are written as text: entries apart by spaces, layers by '|'. An entry is PATH (a file), PATH/ (a folder),
 * PATH>TEXT (a symbolic link), PATH=PATH (a hard link), PATH! (a device). What survives is written the same way, in
 * the order of the alphabet, files with the layer that their contents come from.
 */
#include "image/merge.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int add(struct merge *m, char *word, struct err *e)
{
	struct merge_entry entry = { .path = word, .text = "", .mode = 0644, .size = 1 };
	size_t n = strlen(word);
	char *mark = strpbrk(word, ">=");

	if (mark) {
		entry.kind = *mark == '>' ? MERGE_LINK : MERGE_NAME;
		entry.text = mark + 1;
		*mark = 0;
	} else {
		entry.kind = word[n - 1] == '/'   ? MERGE_FOLDER
		             : word[n - 1] == '!' ? MERGE_DEVICE
		                                  : MERGE_FILE;
		if (entry.kind == MERGE_DEVICE)
			word[n - 1] = 0;
	}
	return merge_add(m, &entry, e);
}

static int add_all(struct merge *m, const char *layers, struct err *e)
{
	auto_free char *text = xstrdup(layers);
	char *layer_end, *word_end;

	for (char *l = strtok_r(text, "|", &layer_end); l; l = strtok_r(NULL, "|", &layer_end)) {
		for (char *w = strtok_r(l, " ", &word_end); w; w = strtok_r(NULL, " ", &word_end)) {
			if (add(m, w, e))
				return -1;
		}
		if (merge_layer_end(m, e))
			return -1;
	}
	return 0;
}

static void tell(struct merge *m, struct node *n, char **lines, size_t *count)
{
	char path[NAME_BYTES_MAX + 1];
	size_t ignored;

	for (n = n->child; n; n = n->next) {
		node_path(path, n);
		lines[(*count)++] =
			n->kind == MERGE_FOLDER ? xprintf("%s/", path)
			: n->kind == MERGE_LINK
				? xprintf("%s>%s", path, n->text)
				: xprintf("%s:%d", path,
					  merge_contents(m, &ignored)[n->content].layer);
		tell(m, n, lines, count);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void survives(const char *layers, const char *what)
{
	struct merge *m = merge_new(100, NULL, NULL);
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };
	char *lines[100];
	size_t n = 0;

	if (add_all(m, layers, &e))
		fail_msg("%s: %s", layers, e.msg);
	tell(m, merge_root(m), lines, &n);
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, "%s%s", i ? " " : "", lines[i]);
		free(lines[i]);
	}
	assert_string_equal(b.data ? b.data : "", what);
	merge_free(m);
}

static void is_refused(const char *layers, const char *why)
{
	struct merge *m = merge_new(100, NULL, NULL);
	struct err e = { 0 };

	assert_int_equal(add_all(m, layers, &e), -1);
	if (!strstr(e.msg, why))
		fail_msg("%s: '%s' does not say '%s'", layers, e.msg, why);
	merge_free(m);
}

static void the_later_entry_stands(void **s)
{
	(void)s;
	survives("a | a", "a:1");
	survives("d/ d/a | d/ d/b", "d/ d/a:0 d/b:1");
	survives("d/ d/a | d", "d:1");
	survives("a | a/ a/b", "a/ a/b:1");
	survives("a>x | a/ a/b", "a/ a/b:1");
	survives("./ /a ./b//c", "a:0 b/ b/c:0");
}

static void a_whiteout_hides_lower_layers_and_never_its_own(void **s)
{
	(void)s;
	survives("a b | .wh.a", "b:0");
	survives("d/ d/a d/e/f | .wh.d", "");
	survives("a | .wh.a a", "a:1");
	survives("a | a .wh.a", "a:1");
	survives("a .wh.a", "a:0");
	survives("d/x | d/y .wh.d", "d/ d/y:1");
	survives("d/x | .wh.d d/y", "d/ d/y:1");
	survives("a | .wh.b c/.wh.d", "a:0");
	survives("s>d d/x | s/.wh.x", "d/ d/x:0 s>d");
	survives("a | .wh.a | a", "a:2");
}

static void an_opaque_folder_keeps_only_its_own_layer(void **s)
{
	(void)s;
	survives("d/a d/e/f g | d/.wh..wh..opq d/b", "d/ d/b:1 g:0");
	survives("d/a | d/b d/.wh..wh..opq", "d/ d/b:1");
	survives("a b/c | .wh..wh..opq", "");
	survives("d | d/.wh..wh..opq d/ ", "d/");
}

static void odd_whiteouts_are_refused(void **s)
{
	(void)s;
	is_refused(".wh.", "no name");
	is_refused("a/.wh..", "no name");
	is_refused("a/.wh...", "no name");
	is_refused(".wh.a/", "must be a file");
	is_refused(".wh.a>b", "must be a file");
	is_refused(".wh.a/b", "lies in a whiteout");
	is_refused("../.wh.a", "'..'");
	survives("... | .wh....", "");
	survives(".wh..wh.plnk/ .wh..wh.aufs a", "a:0");
}

static void hard_links_share_contents_and_outlive_each_other(void **s)
{
	(void)s;
	survives("a b=a | .wh.a", "b:0");
	survives("a | b=a a", "a:1 b:0");
	survives("a>x b=a", "a>x b>x");
	survives("d/a | d=d/a", "d:0");
	is_refused("b=a a", "no file of the image before it");
	is_refused("d/ b=d", "no file of the image before it");
	is_refused("a a=a", "itself");
	is_refused("a=../x", "'..'");
	is_refused("a | .wh.a b=a", "no file of the image before it");
}

static void no_way_leads_through_a_link_or_a_file(void **s)
{
	(void)s;
	is_refused("a>b a/c", "a/c: its way leads through a symbolic link");
	is_refused("a>b | a/c", "a/c: its way leads through a symbolic link");
	is_refused("a a/c/", "a/c: its way leads through a file");
	survives("a>b | .wh.a a/c", "a/ a/c:1");
}

static void devices_are_refused_but_in_dev(void **s)
{
	(void)s;
	is_refused("x!", "x: is a device");
	survives("dev/ dev/null! dev/x", "dev/ dev/x:0");
	is_refused("devices/x!", "is a device");
	is_refused("./>x", "root");
}

static void bounds_hold(void **s)
{
	struct merge_entry big = { .path = "a", .text = "", .kind = MERGE_FILE, .size = 60 };
	struct merge *m = merge_new(100, NULL, NULL);
	struct err e = { 0 };
	char text[16];

	(void)s;
	assert_int_equal(merge_add(m, &big, &e), 0);
	assert_int_equal(merge_layer_end(m, &e), 0);
	assert_int_equal(merge_add(m, &big, &e), -1); /* 120 of 100 bytes */
	merge_free(m);
	m = merge_new(100, NULL, NULL);
	struct merge_entry folder = { .path = text, .text = "", .kind = MERGE_FOLDER };
	for (int i = 0; i < MERGE_ENTRIES_MAX; i++) {
		snprintf(text, sizeof(text), "d%d", i % 1000);
		assert_int_equal(merge_add(m, &folder, &e), 0);
	}
	assert_int_equal(merge_add(m, &folder, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	merge_free(m);
	m = merge_new(100, NULL, NULL);
	for (int i = 0; i < MERGE_LAYERS_MAX; i++)
		assert_int_equal(merge_layer_end(m, &e), 0);
	assert_int_equal(merge_add(m, &folder, &e), -1);
	merge_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_later_entry_stands),
		cmocka_unit_test(a_whiteout_hides_lower_layers_and_never_its_own),
		cmocka_unit_test(an_opaque_folder_keeps_only_its_own_layer),
		cmocka_unit_test(odd_whiteouts_are_refused),
		cmocka_unit_test(hard_links_share_contents_and_outlive_each_other),
		cmocka_unit_test(no_way_leads_through_a_link_or_a_file),
		cmocka_unit_test(devices_are_refused_but_in_dev),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
