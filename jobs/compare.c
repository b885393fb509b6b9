/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.c: see compare.h. One pass over both outputs, a token of each at a time.
 */
#include "jobs/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXACT_DIGITS 15 /* so many decimal digits a double keeps, whatever they are */
#define PART 65536

/* --- tokens --------------------------------------------------------------------------------------- */
enum { WORD, BLANK, ALONE };

static const unsigned char kinds[256] = {
	[' '] = BLANK,
	['\t'] = BLANK,
	['\v'] = BLANK,
	['\f'] = BLANK,
	['\r'] = BLANK,
	['\n'] = ALONE,
	[','] = ALONE,
	[';'] = ALONE,
	[':'] = ALONE,
	['('] = ALONE,
	[')'] = ALONE,
	['['] = ALONE,
	[']'] = ALONE,
	['{'] = ALONE,
	['}'] = ALONE,
	['<'] = ALONE,
	['>'] = ALONE,
	['='] = ALONE,
	['|'] = ALONE,
	['"'] = ALONE,
	['\''] = ALONE,
};

static int kind_of(char c)
{
	return kinds[(unsigned char)c];
}

struct reader {
	const char *at, *end;
};

struct token {
	const char *text;
	size_t n; /* 0: the end */
};

static struct token next(struct reader *r)
{
	while (r->at < r->end && kind_of(*r->at) == BLANK)
		r->at++;
	struct token t = { r->at, 0 };

	if (r->at < r->end && kind_of(*r->at) == ALONE)
		r->at++;
	else
		while (r->at < r->end && kind_of(*r->at) == WORD)
			r->at++;
	t.n = (size_t)(r->at - t.text);
	return t;
}

/* --- numbers -------------------------------------------------------------------------------------- */
enum number { NO_NUMBER, A_NUMBER, NOT_A_NUMBER, INFINITE };

struct value {
	enum number what;
	double value;
	bool whole;    /* digits alone */
	size_t digits; /* of a whole one, without leading zeros */
};

static size_t digits_at(const char *s)
{
	return strspn(s, "0123456789");
}

/* The length of what is a number in `s`, behind its sign; 0: none. */
static size_t measure(const char *s, bool *whole)
{
	size_t before = digits_at(s), n = before, behind = 0;

	*whole = true;
	if (s[n] == '.') {
		behind = digits_at(s + n + 1);
		n += 1 + behind;
		*whole = false;
	}
	if (before + behind == 0)
		return 0;
	if (s[n] == 'e' || s[n] == 'E') {
		size_t sign = s[n + 1] == '+' || s[n + 1] == '-',
		       more = digits_at(s + n + 1 + sign);

		if (more == 0)
			return 0;
		n += 1 + sign + more;
		*whole = false;
	}
	return n;
}

static struct value read_word(const char *s, bool negative)
{
	struct value v = { .what = NO_NUMBER };
	size_t n = measure(s, &v.whole);

	if (!strcasecmp(s, "nan")) {
		v.what = NOT_A_NUMBER;
	} else if (!strcasecmp(s, "inf") || !strcasecmp(s, "infinity")) {
		v = (struct value){ .what = INFINITE, .value = negative ? -1 : 1 };
	} else if (n > 0 && s[n] == '\0') {
		v.value = strtod(s, NULL); /* no program of ours calls setlocale() */
		v.what = isfinite(v.value) ? A_NUMBER : NO_NUMBER;
		v.value = negative ? -v.value : v.value;
		v.digits = v.whole ? n - strspn(s, "0") : 0;
	}
	return v;
}

static struct value value_of(struct token t)
{
	char text[COMPARE_NUMBER_MAX + 1];
	bool sign = t.n > 0 && (*t.text == '-' || *t.text == '+');

	if (t.n == 0 || t.n > COMPARE_NUMBER_MAX || memchr(t.text, '\0', t.n))
		return (struct value){ .what = NO_NUMBER };
	memcpy(text, t.text, t.n);
	text[t.n] = '\0';
	return read_word(text + sign, *text == '-');
}

static bool close_enough(const struct comparison *how, const struct value *a, const struct value *b)
{
	double x = fabs(a->value), y = fabs(b->value);

	return fabs(a->value - b->value) <= how->atol + how->rtol * (x > y ? x : y);
}

static bool same_token(const struct comparison *how, struct token a, struct token b)
{
	if (a.n == b.n && !memcmp(a.text, b.text, a.n))
		return true;
	struct value x = value_of(a), y = value_of(b);

	if (x.what == NO_NUMBER || x.what != y.what)
		return false;
	if (x.what == NOT_A_NUMBER)
		return true;
	if (x.what == INFINITE)
		return (x.value < 0) == (y.value < 0);
	if (x.whole && y.whole && (x.digits > EXACT_DIGITS || y.digits > EXACT_DIGITS))
		return false; /* their bytes differ */
	return close_enough(how, &x, &y);
}

bool compare_numeric(
	const struct comparison *how, const char *a, size_t na, const char *b, size_t nb)
{
	struct reader x = { a, a + na }, y = { b, b + nb };
	struct token s, t;

	if (na == 0 || nb == 0)
		return na == nb;
	do {
		s = next(&x);
		t = next(&y);
		if (s.n == 0 || t.n == 0)
			return s.n == t.n;
	} while (same_token(how, s, t));
	return false;
}

/* --- how ------------------------------------------------------------------------------------------ */
/* A number in the first n bytes of `text`, from 0 to less than, or equal to, `max`. */
static bool read_bound(double *out, const char *text, size_t n, double max)
{
	struct value v = value_of((struct token){ text, n });

	*out = v.value;
	return v.what == A_NUMBER && v.value >= 0 && v.value <= max;
}

int compare_parse(struct comparison *out, const char *how, const char *field, struct err *e)
{
	static const char numeric[] = "numeric:rtol=", atol_is[] = ",atol=";
	const char *r = how + sizeof(numeric) - 1;

	*out = (struct comparison){ .kind = !strcmp(how, "program") ? COMPARE_PROGRAM
		                                                    : COMPARE_EXACT };
	if (!strcmp(how, "exact") || !strcmp(how, "program"))
		return 0;
	if (strncmp(how, numeric, sizeof(numeric) - 1) != 0)
		return err_field(e, field,
			"\"%.100s\" is none of exact, program, numeric:rtol=R,atol=A", how);
	size_t n = strcspn(r, ",");
	const char *a = r + n + sizeof(atol_is) - 1;
	out->kind = COMPARE_NUMERIC;
	if (!read_bound(&out->rtol, r, n, 1) || out->rtol >= 1)
		return err_field(
			e, field, "\"%.100s\": rtol must be a number from 0 to less than 1", how);
	if (strncmp(r + n, atol_is, sizeof(atol_is) - 1) != 0 ||
		!read_bound(&out->atol, a, strlen(a), COMPARE_ATOL_MAX))
		return err_field(e, field,
			"\"%.100s\": ,atol= and a number from 0 to 1e300 must follow", how);
	return 0;
}

/* --- files ---------------------------------------------------------------------------------------- */
static int same_bytes(int a, int b, int64_t size, struct err *e)
{
	auto_free char *x = xmalloc(PART), *y = xmalloc(PART);

	for (int64_t at = 0; at < size;) {
		size_t want = size - at < PART ? (size_t)(size - at) : PART;
		ssize_t n = pread(a, x, want, at), m = n <= 0 ? -1 : pread(b, y, (size_t)n, at);

		if (n <= 0 || m <= 0)
			return err_sys(e, "reading an output");
		if (memcmp(x, y, (size_t)m) != 0)
			return 0;
		at += m;
	}
	return 1;
}

/* The whole file, which must stay as large as it was: not mapped, as one that is cut meanwhile would kill us. Yours. */
static char *read_whole(int fd, int64_t size, struct err *e)
{
	auto_free char *text = xmalloc((size_t)size + 1);

	for (int64_t at = 0; at < size;) {
		ssize_t n = pread(fd, text + at, (size_t)(size - at), at);

		if (n < 0) {
			err_sys(e, "reading an output");
			return NULL;
		}
		if (n == 0) {
			err_set(e, ERR_SYSTEM, "reading an output: it has become shorter");
			return NULL;
		}
		at += n;
	}
	return TAKE(text);
}

int compare_files(const struct comparison *how, int a, int b, struct err *e)
{
	struct stat x, y;
	int same = -1;

	if (fstat(a, &x) || fstat(b, &y))
		return err_sys(e, "looking at an output");
	if (how->kind != COMPARE_NUMERIC || x.st_size > COMPARE_NUMERIC_MAX ||
		y.st_size > COMPARE_NUMERIC_MAX)
		return x.st_size != y.st_size ? 0 : same_bytes(a, b, x.st_size, e);
	auto_free char *p = read_whole(a, x.st_size, e);
	auto_free char *q = p ? read_whole(b, y.st_size, e) : NULL;
	if (q)
		same = compare_numeric(how, p, (size_t)x.st_size, q, (size_t)y.st_size);
	return same;
}
