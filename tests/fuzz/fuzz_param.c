/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_param.c: one --param: names are names, lists are what stood between the commas, ranges stay on
 * their grid and within their ends.
 */
#include "jobs/param.h"
#include "tests/fuzz/fuzz.h"

#define MOST 1000

static void check_list(const struct param *p, const char *value)
{
	auto_buf struct buf b = { 0 };

	for (size_t i = 0; i < p->n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", p->values[i]);
	assert(b.len == strlen(value) && !memcmp(b.data, value, b.len));
}

static size_t places(const char *value)
{
	const char *point = strchr(value, '.');

	return point ? strlen(point + 1) : 0;
}

/* No value twice, all with as many places; the first is where the range begins. */
static void check_range(const struct param *p, const char *value)
{
	for (size_t i = 0; i < p->n; i++) {
		assert(strspn(p->values[i], "-.0123456789") == strlen(p->values[i]));
		assert(places(p->values[i]) == places(p->values[0]));
		assert(i == 0 || strcmp(p->values[i], p->values[i - 1]) != 0);
	}
	assert(strtod(p->values[0], NULL) == strtod(value, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *text = xmemdup(data, n);
	struct param p;
	struct err e;

	if (param_parse(&p, text, MOST, &e)) {
		assert(e.code == ERR_USAGE && e.msg[0] && !p.values && !p.n);
		return 0;
	}
	const char *value = text + strlen(p.name) + 1;
	assert(p.n >= 1 && p.n <= MOST && param_is_name(p.name, strlen(p.name)));
	assert(!strncmp(text, p.name, strlen(p.name)) && value[-1] == '=');
	if (strstr(value, "..") && !strchr(value, ','))
		check_range(&p, value);
	else
		check_list(&p, value);
	param_release(&p);
	return 0;
}
