/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_ability.c: what a box answers to --check, read by the worker and told to a person.
 */
#include "tests/fuzz/fuzz.h"
#include "worker/ability.h"

/* Whatever the box said, what a person reads is lines of plain text. */
static void check_told(const struct ability *a, const struct facts *facts)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert(f);
	bool works = ability_print(a, facts, "/bin/true", f);
	fclose(f);
	assert(n > 0 && text[n - 1] == '\n' && strlen(text) == n);
	for (size_t i = 0; i < n; i++)
		assert(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
	json_t *utf8 = json_stringn(text, n);
	assert(utf8);
	json_decref(utf8);
	assert(!a->answered || works == a->compute);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct facts none = { 0 }, worst = { .container = true, .filtered = true, .apparmor = 1,
		.profile = true, .profile_can = true, .hidepid = true, .lsm = "capability,yama" };
	struct ability a;

	memset(&a, 'x', sizeof(a));
	ability_read(&a, (const char *)data, n);
	assert(a.answered || (a.compute && a.files));
	for (size_t i = 0; i < BOX_N_LAYERS; i++) {
		assert(a.layers[i].name[0]);
		assert(strnlen(a.layers[i].why, sizeof(a.layers[i].why)) < sizeof(a.layers[i].why));
	}
	check_told(&a, &none);
	check_told(&a, &worst);
	return 0;
}
