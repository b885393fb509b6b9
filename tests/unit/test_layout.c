/* SPDX-License-Identifier: Apache-2.0
 *
 * test_layout.c: what an image says of itself, from documents in memory.
 */
#include "image/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CONFIG                                                                                     \
	"{\"architecture\":\"arm64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/a\"],"        \
	"\"Cmd\":null,\"Env\":[\"K=V\"],\"WorkingDir\":\"x//y/\"}}"
#define DOCKER "[{\"Config\":\"./c.json\",\"Layers\":[\"b/layer.tar\",\"a.tar\"]}]"

/* Pairs of a path and a text, ended by NULL. */
static int get(void *from, const char *path, const char **text, size_t *n, struct err *e)
{
	const char *const *files = from;

	(void)e;
	for (; files[0]; files += 2) {
		if (!strcmp(files[0], path)) {
			*text = files[1];
			*n = strlen(files[1]);
			return 1;
		}
	}
	return 0;
}

static int read_files(
	struct layout *l, const char *const *files, const char *platform, struct err *e)
{
	struct layout_source s = { get, (void *)(uintptr_t)files };
	struct layout_platform p = { 0 };

	if (*platform)
		assert_true(layout_platform_read(&p, platform));
	return layout_read(l, &s, &p, e);
}

static void a_docker_archive_tells_layers_by_path(void **s)
{
	const char *files[] = { "manifest.json", DOCKER, "c.json", CONFIG, NULL };
	struct layout l;
	struct err e = { 0 };

	(void)s;
	assert_int_equal(read_files(&l, files, "", &e), 0);
	assert_int_equal(l.n_layers, 2);
	assert_string_equal(l.layers[0].path, "b/layer.tar");
	assert_string_equal(l.layers[1].path, "a.tar");
	assert_string_equal(l.layers[0].sha256, "");
	assert_string_equal(l.json,
		"{\"entrypoint\":[\"/a\"],\"cmd\":[],\"env\":[\"K=V\"],\"workdir\":\"/x/"
		"y\",\"layers\":2,"
		"\"architecture\":\"arm64\",\"os\":\"linux\"}\n");
	layout_release(&l);
}

static void a_platform_that_was_asked_for_must_be_the_images(void **s)
{
	const char *files[] = { "manifest.json", DOCKER, "c.json", CONFIG, NULL };
	struct layout l;
	struct err e = { 0 };

	(void)s;
	assert_int_equal(read_files(&l, files, "linux/amd64", &e), -1);
	assert_non_null(strstr(e.msg, "linux/arm64"));
	layout_release(&l);
	assert_int_equal(read_files(&l, files, "linux/arm64", &e), 0);
	layout_release(&l);
}

static void neither_document_means_a_root_file_system(void **s)
{
	const char *files[] = { "index.json", "{}", NULL };
	struct layout l;
	struct err e = { 0 };

	(void)s;
	assert_int_equal(read_files(&l, files, "linux/riscv64", &e), 0);
	assert_int_equal(l.n_layers, 0);
	assert_non_null(strstr(l.json, "\"layers\":1,\"architecture\":\"riscv64\""));
	layout_release(&l);
}

static void a_document_must_have_the_digest_that_names_it(void **s)
{
	const char *files[] = { "oci-layout", "{}", "index.json",
		"{\"manifests\":[{\"digest\":\"sha256:"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]}",
		"blobs/sha256/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"{}", NULL };
	struct layout l;
	struct err e = { 0 };

	(void)s;
	assert_int_equal(read_files(&l, files, "", &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	layout_release(&l);
}

static void a_platform_has_two_or_three_words(void **s)
{
	struct layout_platform p;

	(void)s;
	assert_true(layout_platform_read(&p, "linux/arm/v7"));
	assert_string_equal(p.variant, "v7");
	assert_true(layout_platform_read(&p, "linux/amd64"));
	assert_string_equal(p.variant, "");
	assert_false(layout_platform_read(&p, "linux"));
	assert_false(layout_platform_read(&p, "linux/"));
	assert_false(layout_platform_read(&p, "/amd64"));
	assert_false(layout_platform_read(&p, "a/b/c/d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_docker_archive_tells_layers_by_path),
		cmocka_unit_test(a_platform_that_was_asked_for_must_be_the_images),
		cmocka_unit_test(neither_document_means_a_root_file_system),
		cmocka_unit_test(a_document_must_have_the_digest_that_names_it),
		cmocka_unit_test(a_platform_has_two_or_three_words),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
