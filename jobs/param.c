/* SPDX-License-Identifier: Apache-2.0
 *
 * param.c: a decimal is an integer and a count of places; a range is a sum of such.
 */
#include "jobs/param.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* of a decimal: fits an int64_t */

struct decimal {
	int64_t units;
	int places;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool param_is_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_letter(name[i]) && !is_digit(name[i]) && name[i] != '-')
			return false;
	return n >= 1 && n <= PARAM_NAME_MAX;
}

bool param_is_word(const char *word, size_t n)
{
	return param_is_name(word, n) && is_letter(word[0]);
}

/* -12.50, the whole of n bytes. */
static bool decimal_read(struct decimal *d, const char *s, size_t n)
{
	bool minus = n > 0 && *s == '-', point = false;
	int digits = 0;

	*d = (struct decimal){ 0 };
	for (size_t i = minus; i < n; i++) {
		if (s[i] == '.' && !point && digits > 0 && i + 1 < n) {
			point = true;
			continue;
		}
		if (!is_digit(s[i]) || ++digits > DIGITS_MAX)
			return false;
		d->units = d->units * 10 + (s[i] - '0');
		d->places += point;
	}
	if (minus)
		d->units = -d->units;
	return digits > 0;
}

static bool decimal_scale(struct decimal *d, int places)
{
	for (; d->places < places; d->places++)
		if (__builtin_mul_overflow(d->units, 10, &d->units))
			return false;
	return true;
}

static char *decimal_write(int64_t units, int places)
{
	uint64_t u = units < 0 ? 0 - (uint64_t)units : (uint64_t)units, ten = 1;

	for (int i = 0; i < places; i++)
		ten *= 10;
	if (places == 0)
		return xprintf("%s%llu", units < 0 ? "-" : "", (unsigned long long)u);
	return xprintf("%s%llu.%0*llu", units < 0 ? "-" : "", (unsigned long long)(u / ten), places,
		(unsigned long long)(u % ten));
}

static void add(struct param *p, char *value)
{
	array_room(&p->values, &p->room, p->n, sizeof(*p->values));
	p->values[p->n++] = value;
}

/* FROM..TO[:STEP] between `s` and its end; `dots` is where the two dots are. */
static int range(struct param *p, const char *s, const char *dots, size_t max, struct err *e)
{
	const char *to_at = dots + 2, *colon = strchr(to_at, ':');
	size_t to_n = colon ? (size_t)(colon - to_at) : strlen(to_at);
	struct decimal from, to, step = { 1, 0 };
	int places;

	if (!decimal_read(&from, s, (size_t)(dots - s)) || !decimal_read(&to, to_at, to_n) ||
		(colon && !decimal_read(&step, colon + 1, strlen(colon + 1))))
		return err_set(e, ERR_USAGE, "%s is not FROM..TO or FROM..TO:STEP in decimal", s);
	places = from.places > to.places ? from.places : to.places;
	places = step.places > places ? step.places : places;
	if (!decimal_scale(&from, places) || !decimal_scale(&to, places) ||
		!decimal_scale(&step, places))
		return err_set(e, ERR_USAGE, "%s has too many digits", s);
	if (step.units == 0 || (step.units > 0) != (to.units >= from.units))
		if (step.units == 0 || to.units != from.units)
			return err_set(e, ERR_USAGE, "%s never arrives: mind the step's sign", s);
	for (int64_t at = from.units; step.units > 0 ? at <= to.units : at >= to.units;) {
		if (p->n == max)
			return err_set(e, ERR_USAGE, "%s has more than %zu values", s, max);
		add(p, decimal_write(at, places));
		if (__builtin_add_overflow(at, step.units, &at))
			break;
	}
	return 0;
}

static int list(struct param *p, const char *s, size_t max, struct err *e)
{
	for (;;) {
		size_t n = strcspn(s, ",");

		if (p->n == max)
			return err_set(e, ERR_USAGE, "more than %zu values", max);
		add(p, xmemdup(s, n));
		if (!s[n])
			return 0;
		s += n + 1;
	}
}

int param_parse(struct param *p, const char *text, size_t max, struct err *e)
{
	const char *equals = strchr(text, '=');
	const char *value = equals ? equals + 1 : "", *dots = strstr(value, "..");
	size_t n = equals ? (size_t)(equals - text) : 0;

	*p = (struct param){ 0 };
	if (!*value)
		return err_set(e, ERR_USAGE, "--param %s: say NAME=a,b,c or NAME=1..100 or NAME=0..1:0.1",
			text);
	if (!param_is_name(text, n))
		return err_set(e, ERR_USAGE,
			"--param %s: a name is made of letters, digits, _ and -, at most %d",
			text, PARAM_NAME_MAX);
	memcpy(p->name, text, n);
	if (dots && !strchr(value, ',') ? range(p, value, dots, max, e) : list(p, value, max, e)) {
		err_wrap(e, "--param %s", p->name);
		param_release(p);
		return -1;
	}
	return 0;
}

void param_release(struct param *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->values[i]);
	free(p->values);
	*p = (struct param){ 0 };
}
