/* SPDX-License-Identifier: Apache-2.0
 *
 * fold.c: fold one protein of the two-dimensional HP model.
 *
 * A protein is a chain of H (hydrophobic) and P (polar) beads laid on the
 * square lattice without touching itself twice. Each pair of H that are
 * neighbours on the lattice but not along the chain is a contact and is worth
 * -1. The program looks for a fold of low energy by replica-exchange Monte
 * Carlo with pull moves, after
 *
 *   C. Thachuk, A. Shmygelska, H. H. Hoos: A replica exchange Monte Carlo
 *   algorithm for protein folding in the HP model. BMC Bioinformatics 8:342, 2007.
 *   N. Lesh, M. Mitzenmacher, S. Whitesides: A complete and effective move set
 *   for simplified protein folding. RECOMB 2003.
 *
 * Standard input holds one line, NAME SEQUENCE SEED [STEPS]; standard output
 * gets one line of JSON. Exit 0 done, 2 the line is malformed, 1 output failed.
 *
 * What must always hold: equal input gives equal bytes on every machine, for
 * volunteers' results are believed because they agree. So there is no floating
 * point (libm's exp differs between CPUs and versions), no clock, no address
 * and no file in here: the random numbers and the Boltzmann weights are integer
 * arithmetic of fixed width.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LEN 40
#define BEADS_MIN 4
#define BEADS_MAX 128    /* see `struct chain`: the lattice has room for no more */
#define LINE_MAX_LEN 256 /* 40 + 128 + two numbers of 20 digits + 4 separators, rounded up */
#define STEPS_MAX UINT64_C(1000000000000) /* some fifteen hours; more is a slip of the keyboard */
#define STEPS_DEFAULT UINT64_C(8000000)   /* 0.3 to 0.5 s on an AMD EPYC core */
#define SEED_MAX ((uint64_t)INT64_MAX)    /* it is echoed in JSON, read as signed 64 bits */

/* --- the task ------------------------------------------------------------------------------- */

struct task {
	char name[NAME_MAX_LEN + 1];
	char sequence[BEADS_MAX + 1];
	int n; /* beads */
	uint64_t seed;
	uint64_t steps;
};

static void refuse(const char *why)
{
	fprintf(stderr, "fold: malformed task: %s; want: NAME SEQUENCE SEED [STEPS]\n", why);
	exit(2);
}

static int is_name(char c)
{
	return c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c);
}

static int is_bead(char c)
{
	return c == 'H' || c == 'P';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Read all of standard input, at most one line. It ends with a newline or the end of input. */
static void read_line(char line[LINE_MAX_LEN + 1])
{
	size_t len = 0;
	ssize_t got;
	char *end;

	while (len < LINE_MAX_LEN && (got = read(STDIN_FILENO, line + len, LINE_MAX_LEN - len)) > 0)
		len += (size_t)got;
	if (len == LINE_MAX_LEN)
		refuse("the line is too long");
	end = memchr(line, '\n', len);
	if (end && end != line + len - 1)
		refuse("more than one line");
	if (end)
		len--;
	if (memchr(line, '\0', len))
		refuse("a zero byte in it");
	line[len] = '\0';
}

/* Take the longest word of `ok` characters at `*at` into `out`; `why` is said when there is
 * none, when it has not `min` to `max` characters, or when something else than a space follows. */
static int take_word(const char **at, char *out, int min, int max, int (*ok)(char), const char *why)
{
	int n = 0;

	while (n < max && ok((*at)[n])) {
		out[n] = (*at)[n];
		n++;
	}
	out[n] = '\0';
	*at += n;
	if (n < min || (**at != ' ' && **at != '\0'))
		refuse(why);
	if (**at == ' ' && *++*at == '\0')
		refuse("a space at its end");
	return n;
}

static uint64_t take_number(const char **at, uint64_t min, uint64_t max, const char *why)
{
	char digits[21]; /* 2^64 - 1 has 20 digits */
	uint64_t v = 0;

	take_word(at, digits, 1, 20, is_digit, why);
	for (const char *p = digits; *p; p++) {
		uint64_t d = (uint64_t)(*p - '0');

		if (v > (max - d) / 10)
			refuse(why);
		v = v * 10 + d;
	}
	if (v < min)
		refuse(why);
	return v;
}

static void task_read(struct task *t)
{
	char line[LINE_MAX_LEN + 1];
	const char *at = line;

	read_line(line);
	take_word(&at, t->name, 1, NAME_MAX_LEN, is_name, "NAME is 1 to 40 of A-Z a-z 0-9 . _ -");
	t->n = take_word(
		&at, t->sequence, BEADS_MIN, BEADS_MAX, is_bead, "SEQUENCE is 4 to 128 of H P");
	t->seed = take_number(&at, 0, SEED_MAX, "SEED is a whole number below 2^63");
	t->steps = STEPS_DEFAULT;
	if (*at)
		t->steps = take_number(&at, 1, STEPS_MAX, "STEPS is a number from 1 to 10^12");
	if (*at)
		refuse("more than four words");
}

/* --- chance --------------------------------------------------------------------------------- */

/* xoshiro256**, seeded by splitmix64: D. Blackman and S. Vigna, Scrambled linear pseudorandom
 * number generators, ACM TOMS 47:36, 2021; reference code in the public domain. */
struct rng {
	uint64_t s[4];
};

static void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ (z >> 31);
	}
}

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t rng_next(struct rng *r)
{
	uint64_t result = rotate(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotate(r->s[3], 45);
	return result;
}

/* weight[k] is exp(-k / 16) as a fraction of 2^32. All temperatures are chosen as 16ths of beta,
 * so one multiplication a row makes the whole table, with the same rounding everywhere. */
#define BETA_ONE 16
#define WEIGHTS (BETA_ONE * 23) /* exp(-23) is below 2^-32: from there on it is never */
static uint64_t weight[WEIGHTS];

static void weights_fill(void)
{
	const uint64_t step = UINT64_C(4034748382); /* round(exp(-1/16) * 2^32) */

	weight[0] = UINT64_C(1) << 32;
	for (int k = 1; k < WEIGHTS; k++)
		weight[k] = weight[k - 1] * step >> 32;
}

/* Say yes with probability exp(-cost / 16); `coin` is 32 random bits. */
static int accepts(int cost, uint32_t coin)
{
	return cost <= 0 || (cost < WEIGHTS && coin < weight[cost]);
}

/* --- the chain on its lattice --------------------------------------------------------------- */

/* The lattice is a 256 x 256 sheet rolled up so that cell p has the neighbours p +- 1 and p +- 256,
 * all modulo 2^16: uint16_t does the rolling. A chain of 128 beads spans at most 127 cells each
 * way, so two of its beads never meet around the roll. `cell` holds bead + 1, or 0 for free. */
typedef uint16_t site;
enum { EAST = 1, NORTH = 256 };
static const site step_to[4] = { EAST, NORTH, (site)-EAST, (site)-NORTH };

struct chain {
	int n;
	int energy;
	uint8_t h[BEADS_MAX]; /* 1 where the bead is H */
	site at[BEADS_MAX];
	uint8_t cell[65536];
};

static int touches(site a, site b)
{
	site d = (site)(a - b);

	return d == EAST || d == NORTH || d == (site)-EAST || d == (site)-NORTH;
}

static void chain_init(struct chain *c, const struct task *t)
{
	memset(c, 0, sizeof *c);
	c->n = t->n;
	for (int i = 0; i < t->n; i++) {
		c->h[i] = t->sequence[i] == 'H';
		c->at[i] = (site)(i * EAST);
		c->cell[c->at[i]] = (uint8_t)(i + 1);
	}
}

/* How many contacts the beads lo..hi have, among themselves and with the others. */
static int chain_contacts(const struct chain *c, int lo, int hi)
{
	int sum = 0;

	for (int i = lo; i <= hi; i++) {
		if (!c->h[i])
			continue;
		for (int k = 0; k < 4; k++) {
			int j = c->cell[(site)(c->at[i] + step_to[k])] - 1;

			if (j < 0 || !c->h[j] || j == i - 1 || j == i + 1)
				continue;
			/* A pair inside lo..hi counts once, from its later bead. */
			sum += j < i || j > hi;
		}
	}
	return sum;
}

/* --- pull moves ----------------------------------------------------------------------------- */

/* A pull takes bead `first`, then first - d, first - 2d, ... to new sites, `count` of them. */
struct pull {
	int first;
	int d;
	int count;
	site to[BEADS_MAX];
};

/* Drag the rest of the chain along: each bead goes where the one two ahead of it was, until a
 * bead already touches its neighbour's new site. The first two are in place. */
static void pull_rest(const struct chain *c, struct pull *p)
{
	for (int j = p->first - 2 * p->d; j >= 0 && j < c->n; j -= p->d) {
		if (touches(c->at[j], p->to[p->count - 1]))
			return;
		p->to[p->count++] = c->at[j + 2 * p->d];
	}
}

/* Pull an end of the chain two free sites away from where it is. */
static int pull_end(const struct chain *c, struct pull *p, unsigned way)
{
	site near = (site)(c->at[p->first] + step_to[way & 3]);
	site far = (site)(near + step_to[way >> 2 & 3]);

	if (c->cell[near] || c->cell[far])
		return 0;
	p->to[0] = far;
	p->to[1] = near;
	p->count = 2;
	pull_rest(c, p);
	return 1;
}

/* Pull bead `first`, i, to L: the site beside its neighbour i + d, diagonal from i. C is the site
 * beside both i and L; it must be free, or be where i - d is already.
 *
 *	L . i+d       i .  i+d
 *	C .  i   ->  i-d .  -
 */
static int pull_inner(const struct chain *c, struct pull *p, unsigned way)
{
	site here = c->at[p->first];
	site ahead = c->at[p->first + p->d];
	site along = (site)(here - ahead);
	site aside = along == EAST || along == (site)-EAST ? NORTH : EAST;
	site l, corner;
	int behind = p->first - p->d;

	if (way & 1)
		aside = (site)-aside;
	l = (site)(ahead + aside);
	corner = (site)(here + aside);
	if (c->cell[l])
		return 0;
	p->to[0] = l;
	p->count = 1;
	if (behind < 0 || behind >= c->n || c->cell[corner] == behind + 1)
		return 1;
	if (c->cell[corner])
		return 0;
	p->to[p->count++] = corner;
	pull_rest(c, p);
	return 1;
}

/* Draw one pull from 32 random bits. 0 when the one drawn is not possible here. */
static int pull_draw(const struct chain *c, struct pull *p, uint32_t bits)
{
	unsigned way = bits & 15;
	int ahead;

	p->d = bits & 16 ? 1 : -1;
	p->first = (int)(((uint64_t)(bits >> 5) * (uint64_t)c->n) >> 27);
	ahead = p->first + p->d;
	return ahead < 0 || ahead >= c->n ? pull_end(c, p, way) : pull_inner(c, p, way);
}

/* Put the pulled beads on their new sites; `p` then holds their old ones: twice undoes it. */
static void pull_swap(struct chain *c, struct pull *p)
{
	for (int k = 0, j = p->first; k < p->count; k++, j -= p->d)
		c->cell[c->at[j]] = 0;
	for (int k = 0, j = p->first; k < p->count; k++, j -= p->d) {
		site old = c->at[j];

		c->at[j] = p->to[k];
		c->cell[c->at[j]] = (uint8_t)(j + 1);
		p->to[k] = old;
	}
}

/* One Monte Carlo step at inverse temperature beta / 16 (Metropolis). */
static void chain_step(struct chain *c, int beta, uint64_t random)
{
	struct pull p;
	int last, lo, hi, before, after;

	if (!pull_draw(c, &p, (uint32_t)(random >> 32)))
		return;
	last = p.first - p.d * (p.count - 1);
	lo = p.d > 0 ? last : p.first;
	hi = p.d > 0 ? p.first : last;
	before = chain_contacts(c, lo, hi);
	pull_swap(c, &p);
	after = chain_contacts(c, lo, hi);
	if (accepts(beta * (before - after), (uint32_t)random))
		c->energy -= after - before;
	else
		pull_swap(c, &p);
}

/* --- replica exchange ----------------------------------------------------------------------- */

/* Five temperatures from 0.35 to 0.53 (in energies of one contact), evenly spaced in beta so that
 * one gap prices every swap. Of the ladders tried on S1-6, S1-7 and S1-8 with 24 seeds each, those
 * like this one did best: colder ones or ones with more rungs reach -42 on S1-8 half as often, and
 * a warmer one or one of fewer rungs loses on the others. */
#define RUNGS 5
#define BETA_COLD 46
#define BETA_GAP 4
#define SWEEP 500 /* steps of a rung between two offers to swap */

/* Rung 0 is the coldest. Rungs swap their chains, never their temperatures. */
struct search {
	struct rng rng;
	struct chain *rung[RUNGS];
	uint64_t steps; /* done */
	uint64_t found; /* steps done when `best` was found */
	int best;
	site fold[BEADS_MAX];
};

static void search_note(struct search *s, const struct chain *c)
{
	if (c->energy >= s->best)
		return;
	s->best = c->energy;
	s->found = s->steps;
	memcpy(s->fold, c->at, sizeof s->fold);
}

static void search_sweep(struct search *s, int rung, uint64_t limit)
{
	struct chain *c = s->rung[rung];
	int beta = BETA_COLD - rung * BETA_GAP;

	for (int i = 0; i < SWEEP && s->steps < limit; i++) {
		chain_step(c, beta, rng_next(&s->rng));
		s->steps++;
		search_note(s, c);
	}
}

/* Offer each pair of neighbours, from rung `from` on, to swap: with probability
 * min(1, exp((beta_cold - beta_hot)(E_cold - E_hot))). */
static void search_exchange(struct search *s, int from)
{
	for (int r = from; r + 1 < RUNGS; r += 2) {
		struct chain *cold = s->rung[r], *hot = s->rung[r + 1];

		if (!accepts(BETA_GAP * (hot->energy - cold->energy),
			    (uint32_t)(rng_next(&s->rng) >> 32)))
			continue;
		s->rung[r] = hot;
		s->rung[r + 1] = cold;
	}
}

static void search_run(struct search *s, const struct task *t)
{
	static struct chain chains[RUNGS];

	weights_fill();
	rng_seed(&s->rng, t->seed);
	for (int r = 0; r < RUNGS; r++) {
		s->rung[r] = &chains[r];
		chain_init(s->rung[r], t);
	}
	memcpy(s->fold, s->rung[0]->at, sizeof s->fold);
	for (int from = 0; s->steps < t->steps; from ^= 1) {
		for (int r = 0; r < RUNGS; r++)
			search_sweep(s, r, t->steps);
		search_exchange(s, from);
	}
}

/* --- the answer ----------------------------------------------------------------------------- */

/* Write the fold as steps R U L D from bead to bead, turned and mirrored so that it begins with R
 * and first leaves the line with U: equal shapes have equal names. */
static void fold_name(char *out, const site *at, int n)
{
	int first = 0, mirror = 0, bent = 0;

	for (int i = 0; i + 1 < n; i++) {
		int k = 0;

		while (step_to[k] != (site)(at[i + 1] - at[i]))
			k++;
		if (i == 0)
			first = k;
		k = (k - first) & 3;
		if (!bent && k) {
			bent = 1;
			mirror = k == 3;
		}
		out[i] = "RULD"[mirror ? -k & 3 : k];
	}
	out[n - 1] = '\0';
}

/* Count the energy afresh from the written fold, by another way than the search did. 1 when the
 * walk crosses itself: the result is worth nothing without this check. */
static int recount(const char *sequence, const char *fold, int n, int *energy)
{
	int x[BEADS_MAX] = { 0 }, y[BEADS_MAX] = { 0 };

	*energy = 0;
	for (int i = 1; i < n; i++) {
		x[i] = x[i - 1] + (fold[i - 1] == 'R') - (fold[i - 1] == 'L');
		y[i] = y[i - 1] + (fold[i - 1] == 'U') - (fold[i - 1] == 'D');
		for (int j = 0; j < i; j++) {
			int apart = abs(x[i] - x[j]) + abs(y[i] - y[j]);

			if (apart == 0)
				return 1;
			if (apart == 1 && j < i - 1 && sequence[i] == 'H' && sequence[j] == 'H')
				--*energy;
		}
	}
	return 0;
}

/* Write all of it with write(2) alone: the box may allow nothing else. */
static int put(const char *text, size_t len)
{
	while (len) {
		ssize_t done = write(STDOUT_FILENO, text, len);

		if (done <= 0)
			return -1;
		text += done;
		len -= (size_t)done;
	}
	return 0;
}

static int answer(const struct task *t, const struct search *s)
{
	char fold[BEADS_MAX], line[LINE_MAX_LEN + BEADS_MAX + 160];
	int energy, len;

	fold_name(fold, s->fold, t->n);
	if (recount(t->sequence, fold, t->n, &energy) || energy != s->best)
		abort(); /* a bug in the search: rather no answer than a wrong one */
	len = snprintf(line, sizeof line,
		"{\"name\":\"%s\",\"sequence\":\"%s\",\"seed\":%llu,\"energy\":%d,\"fold\":\"%s\","
		"\"steps\":%llu,\"found\":%llu}\n",
		t->name, t->sequence, (unsigned long long)t->seed, energy, fold,
		(unsigned long long)s->steps, (unsigned long long)s->found);
	return put(line, (size_t)len);
}

int main(void)
{
	static struct task task;
	static struct search search;

	task_read(&task);
	search_run(&search, &task);
	return answer(&task, &search) ? 1 : 0;
}
