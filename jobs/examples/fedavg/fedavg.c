/* SPDX-License-Identifier: Apache-2.0
 *
 * fedavg.c: federated averaging (McMahan et al., "Communication-Efficient Learning of Deep Networks from
 * Decentralized Data", AISTATS 2017) of a logistic regression. Data stays where it is; models travel.
 *
 *	fedavg train MODEL DATA   some steps from MODEL on the rows of DATA: a model line
 *	fedavg average MODELS     the mean of many model lines, weighted by their rows: a model line
 *
 * A model line is "ROWS LOSS W0 W1 … WD": how many rows it was trained on, the sum over these of the squared error of
 * the model that it was trained from, and the weights. DATA has a row a line, "X1,…,XD,Y", Y 0 or 1, numbers with at
 * most six digits behind the point; lines that begin with # are skipped.
 *
 * All numbers are integers, a million standing for 1: the same on every machine, so copies agree bit for bit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE 1000000LL
#define DIMS_MAX 64
#define ALL_ROWS_MAX 9000000000LL /* of all models together: a weight times it is below 2^63 */
#define ROWS_MAX 100000
#define LINE_BYTES 4096
#define STEPS 20               /* a round */
#define RATE (ONE / 2)         /* how far a step goes */
#define VALUE_MAX (1000 * ONE) /* of an X or a weight: products stay far below 2^63 */

struct model {
	long long rows, loss, w[DIMS_MAX + 1];
	int dims;
};

struct data {
	long long (*x)[DIMS_MAX + 1]; /* x[i][0] is 1 */
	long long *y;
	int n, dims;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "fedavg: %s: %s\n", what, why);
	exit(1);
}

static long long clamp(long long v)
{
	return v > VALUE_MAX ? VALUE_MAX : v < -VALUE_MAX ? -VALUE_MAX : v;
}

/* "-1.25" as millionths; *at moves behind it. */
static long long read_fixed(const char **at, const char *file)
{
	const char *s = *at;
	long long v = 0, unit = ONE;
	int minus = *s == '-';

	for (s += minus; *s >= '0' && *s <= '9' && v < VALUE_MAX / ONE; s++)
		v = v * 10 + (*s - '0');
	v *= ONE;
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9' && unit > 1; s++)
			v += (*s - '0') * (unit /= 10);
	if (s == *at + minus || (*s && *s != ',' && *s != '\n'))
		fail(file, "a number is not as it should be");
	*at = s + (*s == ',');
	return clamp(minus ? -v : v);
}

static void read_row(struct data *d, const char *line, const char *file)
{
	const char *at = line;
	long long v[DIMS_MAX + 1];
	int n = 0;

	while (*at && *at != '\n') {
		if (n == DIMS_MAX + 1)
			fail(file, "a row has too many numbers");
		v[n++] = read_fixed(&at, file);
	}
	if (n < 2 || (d->n && n - 1 != d->dims) || d->n == ROWS_MAX)
		fail(file, "rows differ in length, or are too many");
	d->dims = n - 1;
	d->x[d->n][0] = ONE;
	memcpy(d->x[d->n] + 1, v, (size_t)d->dims * sizeof(*v));
	d->y[d->n++] = v[n - 1] ? ONE : 0;
}

static void read_data(struct data *d, const char *file)
{
	FILE *f = fopen(file, "r");
	char line[LINE_BYTES];

	d->x = calloc(ROWS_MAX, sizeof(*d->x));
	d->y = calloc(ROWS_MAX, sizeof(*d->y));
	if (!f || !d->x || !d->y)
		fail(file, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#' && line[0] != '\n')
			read_row(d, line, file);
	fclose(f);
	if (!d->n)
		fail(file, "has no rows");
}

/* False at the end of the file. */
static int read_model(struct model *m, FILE *f, const char *file)
{
	char line[LINE_BYTES], *at = line, *end;

	if (!fgets(line, sizeof(line), f))
		return 0;
	m->rows = strtoll(at, &end, 10);
	m->loss = strtoll(at = end, &end, 10);
	for (m->dims = -1; at = end, *at && *at != '\n' && m->dims < DIMS_MAX;)
		m->w[++m->dims] = clamp(strtoll(at, &end, 10));
	if (m->dims < 1 || m->rows < 0 || m->rows > ALL_ROWS_MAX || m->loss < 0 ||
		m->loss / ONE > m->rows)
		fail(file, "a line is no model");
	return 1;
}

static void print_model(const struct model *m)
{
	printf("%lld %lld", m->rows, m->loss);
	for (int k = 0; k <= m->dims; k++)
		printf(" %lld", m->w[k]);
	putchar('\n');
}

/* e^-z of z >= 0: 2^-(z / ln 2), its whole part a shift, of the rest the series. */
static long long exp_minus(long long z)
{
	const long long ln2 = 693147;
	long long whole = z / ln2, r = z % ln2, sum = ONE, term = ONE;

	if (whole > 40)
		return 0;
	for (int k = 1; k < 12; k++) {
		term = -term * r / ONE / k;
		sum += term;
	}
	return sum >> whole;
}

static long long logistic(long long z)
{
	return z >= 0 ? ONE * ONE / (ONE + exp_minus(z)) : ONE - ONE * ONE / (ONE + exp_minus(-z));
}

static long long error_of(const struct model *m, const struct data *d, int i)
{
	long long z = 0;

	for (int k = 0; k <= d->dims; k++)
		z = clamp(z + m->w[k] * d->x[i][k] / ONE);
	return logistic(z) - d->y[i];
}

static void step(struct model *m, const struct data *d)
{
	long long slope[DIMS_MAX + 1] = { 0 };

	for (int i = 0; i < d->n; i++) {
		long long e = error_of(m, d, i);

		for (int k = 0; k <= d->dims; k++)
			slope[k] += e * d->x[i][k] / ONE;
	}
	for (int k = 0; k <= d->dims; k++)
		m->w[k] = clamp(m->w[k] - slope[k] / d->n * RATE / ONE);
}

static void train(struct model *m, const char *data_file)
{
	struct data d = { 0 };

	read_data(&d, data_file);
	if (d.dims != m->dims)
		fail(data_file, "has rows of another length than the model");
	m->rows = d.n;
	m->loss = 0;
	for (int i = 0; i < d.n; i++) {
		long long e = error_of(m, &d, i);

		m->loss += e * e / ONE;
	}
	for (int i = 0; i < STEPS; i++)
		step(m, &d);
	free(d.x);
	free(d.y);
}

static void average(struct model *sum, FILE *f, const char *file)
{
	struct model m;

	while (read_model(&m, f, file)) {
		if (sum->rows && m.dims != sum->dims)
			fail(file, "models differ in length");
		sum->dims = m.dims;
		sum->rows += m.rows;
		if (sum->rows > ALL_ROWS_MAX)
			fail(file, "models of too many rows");
		sum->loss += m.loss;
		for (int k = 0; k <= m.dims; k++)
			sum->w[k] += m.w[k] * m.rows;
	}
	for (int k = 0; sum->rows && k <= sum->dims; k++)
		sum->w[k] /= sum->rows;
}

int main(int argc, char **argv)
{
	struct model m = { 0 };
	int trains = argc == 4 && !strcmp(argv[1], "train");

	if (!trains && (argc != 3 || strcmp(argv[1], "average")))
		return fputs("usage: fedavg train MODEL DATA | fedavg average MODELS\n", stderr), 2;
	FILE *f = fopen(argv[2], "r");
	if (!f)
		fail(argv[2], strerror(errno));
	if (!trains)
		average(&m, f, argv[2]);
	else if (!read_model(&m, f, argv[2]))
		fail(argv[2], "is empty");
	fclose(f);
	if (trains)
		train(&m, argv[3]);
	print_model(&m);
	return fflush(stdout) ? 1 : 0;
}
