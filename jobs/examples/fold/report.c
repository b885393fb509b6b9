/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c (fold-report): read the results of a fold job, believe none of them, say what was found.
 *
 * `fold-report RESULTS_DIR` walks RESULTS_DIR/results.ndjson as `talkoot results` writes it. For
 * each valid task it reads RESULTS_DIR/INDEX/stdout, checks that it answers the task's line, lays
 * the fold on the lattice again, and counts its energy anew. A fold that crosses itself, a wrong
 * energy or anything malformed is named on standard error and left out; the exit code is then 1.
 * What remains becomes a table, a sequence a line, and with -o a drawing of the best fold.
 *
 * Whether two workers really agreed on those bytes is the business of `talkoot verify`, not ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN 40 /* these three as in fold.c */
#define BEADS_MIN 4
#define BEADS_MAX 128
#define KNOWN_MAX 256    /* lines of a sequences file: the whole literature has fewer */
#define GROUPS_MAX 256   /* different sequences in one job */
#define RECORD_MAX 65536 /* bytes of a line of results.ndjson: a real one has some hundreds */
#define ANSWER_MAX 4096  /* bytes of a task's stdout: a real one has at most 600 */
#define FAULTS_SHOWN 20  /* a spoilt directory should not scroll the first fault away */

/* --- faults --------------------------------------------------------------------------------- */

static unsigned long faults;

/* Say what is wrong with a result, and count it. */
__attribute__((format(printf, 1, 2))) static int fault(const char *fmt, ...)
{
	va_list ap;

	if (++faults > FAULTS_SHOWN)
		return -1;
	fputs("fold-report: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

__attribute__((format(printf, 2, 3), noreturn)) static void die(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("fold-report: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(code);
}

/* --- what is known -------------------------------------------------------------------------- */

struct known {
	char name[NAME_MAX_LEN + 1];
	char sequence[BEADS_MAX + 1];
	int best;
};

/* The same as sequences.txt, which names the sources; a test holds the two equal. */
static struct known known[KNOWN_MAX] = {
	{ "S1-1", "HPHPPHHPHPPHPHHPPHPH", -9 },
	{ "S1-2", "HHPPHPPHPPHPPHPPHPPHPPHH", -9 },
	{ "S1-3", "PPHPPHHPPPPHHPPPPHHPPPPHH", -8 },
	{ "S1-4", "PPPHHPPHHPPPPPHHHHHHHPPHHPPPPHHPPHPP", -14 },
	{ "S1-5", "PPHPPHHPPHHPPPPPHHHHHHHHHHPPPPPPHHPPHHPPHPPHHHHH", -23 },
	{ "S1-6", "HHPHPHPHPHHHHPHPPPHPPPHPPPPHPPPHPPPHPHHHHPHPHPHPHH", -21 },
	{ "S1-7", "PPHHHPHHHHHHHHPPPHHHHHHHHHHPHPPPHHHHHHHHHHHHPPPPHHHHHHPHHPHP", -36 },
	{ "S1-8", "HHHHHHHHHHHHPHPHPPHHPPHHPPHPPHHPPHHPPHPPHHPPHHPPHPHPHHHHHHHHHHHH", -42 },
};
static size_t n_known = 8;

static int is_name(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n >= 1 && n <= NAME_MAX_LEN && !s[n];
}

static int is_sequence(const char *s)
{
	size_t n = strspn(s, "HP");

	return n >= BEADS_MIN && n <= BEADS_MAX && !s[n];
}

/* Replace the compiled-in table by the lines NAME LENGTH BEST SEQUENCE of `path`. */
static void known_read(const char *path)
{
	char line[512], name[128], sequence[256], rest[2];
	FILE *f = fopen(path, "r");
	int length, best, words;

	if (!f)
		die(2, "cannot read %s: %s", path, strerror(errno));
	for (n_known = 0; fgets(line, sizeof line, f);) {
		struct known *k = &known[n_known];

		if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
			continue;
		if (n_known == KNOWN_MAX)
			die(2, "%s has more than %d sequences", path, KNOWN_MAX);
		words = sscanf(
			line, "%127s %9d %9d %255s %1s", name, &length, &best, sequence, rest);
		if (words != 4 || !is_name(name) || !is_sequence(sequence) ||
			(size_t)length != strlen(sequence))
			die(2, "%s: not NAME LENGTH BEST SEQUENCE: %.80s", path, line);
		memcpy(k->name, name, strlen(name) + 1);
		memcpy(k->sequence, sequence, strlen(sequence) + 1);
		k->best = best;
		n_known++;
	}
	if (ferror(f))
		die(2, "cannot read %s: %s", path, strerror(errno));
	fclose(f);
}

static const struct known *known_find(const char *sequence)
{
	for (size_t i = 0; i < n_known; i++)
		if (!strcmp(known[i].sequence, sequence))
			return &known[i];
	return NULL;
}

/* --- a fold, laid out again ----------------------------------------------------------------- */

struct fold {
	char name[NAME_MAX_LEN + 1];
	char sequence[BEADS_MAX + 1];
	int n;
	int energy;
	uint64_t seed;
	long index; /* the task that found it */
	int x[BEADS_MAX], y[BEADS_MAX];
};

static int is_contact(const struct fold *f, int i, int j)
{
	return j < i - 1 && f->sequence[i] == 'H' && f->sequence[j] == 'H' &&
	       abs(f->x[i] - f->x[j]) + abs(f->y[i] - f->y[j]) == 1;
}

/* Walk `steps` (R U L D, one less than beads) from the origin and count the energy. Returns what
 * is wrong with the walk, or NULL. */
static const char *fold_walk(struct fold *f, const char *steps)
{
	f->energy = 0;
	f->x[0] = f->y[0] = 0;
	if (strlen(steps) != (size_t)f->n - 1)
		return "its fold has another length than its sequence";
	if (steps[strspn(steps, "RULD")])
		return "its fold has steps other than R U L D";
	for (int i = 1; i < f->n; i++) {
		f->x[i] = f->x[i - 1] + (steps[i - 1] == 'R') - (steps[i - 1] == 'L');
		f->y[i] = f->y[i - 1] + (steps[i - 1] == 'U') - (steps[i - 1] == 'D');
		for (int j = 0; j < i; j++) {
			if (f->x[i] == f->x[j] && f->y[i] == f->y[j])
				return "its fold crosses itself";
			f->energy -= is_contact(f, i, j);
		}
	}
	return NULL;
}

/* --- a task's answer ------------------------------------------------------------------------ */

/* Read a small regular file whole into `buf`; returns its length, or -1 after saying why. */
static long read_small(const char *path, char *buf, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
	struct stat st;
	size_t len = 0;
	ssize_t got = 1;

	if (fd < 0)
		return fault("cannot read %s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return fault("%s is no regular file", path);
	}
	while (len < max && (got = read(fd, buf + len, max - len)) > 0)
		len += (size_t)got;
	close(fd);
	if (got < 0)
		return fault("cannot read %s: %s", path, strerror(errno));
	if (len == max)
		return fault("%s is too long to be a fold", path);
	return (long)len;
}

/* Does the task's own line, NAME SEQUENCE SEED [STEPS], ask for what the answer answers? */
static int answers_line(const char *line, const char *name, const char *sequence, json_int_t seed)
{
	char want[NAME_MAX_LEN + BEADS_MAX + 32];
	int n = snprintf(want, sizeof want, "%s %s %" JSON_INTEGER_FORMAT, name, sequence, seed);

	return n > 0 && !strncmp(line, want, (size_t)n) && (!line[n] || line[n] == ' ');
}

/* Fill `f` from the JSON object fold printed. `line` may be NULL: the job was not made of lines. */
static int answer_check(struct fold *f, json_t *answer, const char *line, const char *path)
{
	const char *name, *sequence, *steps, *wrong;
	const struct known *k;
	json_int_t seed;
	int energy;

	if (json_unpack(answer, "{s:s, s:s, s:I, s:i, s:s}", "name", &name, "sequence", &sequence,
		    "seed", &seed, "energy", &energy, "fold", &steps))
		return fault("%s is not a fold's answer", path);
	if (seed < 0 || !is_name(name) || !is_sequence(sequence))
		return fault("%s: its name, sequence or seed is malformed", path);
	if (line && !answers_line(line, name, sequence, seed))
		return fault("%s answers another task than it was given", path);
	memcpy(f->name, name, strlen(name) + 1);
	memcpy(f->sequence, sequence, strlen(sequence) + 1);
	f->n = (int)strlen(sequence);
	f->seed = (uint64_t)seed;
	if ((wrong = fold_walk(f, steps)))
		return fault("%s: %s", path, wrong);
	if (f->energy != energy)
		return fault("%s claims energy %d, its fold has %d", path, energy, f->energy);
	k = known_find(sequence);
	if (k && f->energy < k->best)
		fprintf(stderr,
			"fold-report: %s: energy %d is below the best known %d: "
			"news, or a wrong table\n",
			path, f->energy, k->best);
	return 0;
}

static int answer_read(struct fold *f, const char *dir, long index, const char *line)
{
	char path[4096 + 32], text[ANSWER_MAX];
	json_t *answer;
	long len;
	int rc;

	snprintf(path, sizeof path, "%s/%ld/stdout", dir, index);
	len = read_small(path, text, sizeof text);
	if (len < 0)
		return -1;
	answer = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
	if (!answer)
		return fault("%s is not JSON", path);
	f->index = index;
	rc = answer_check(f, answer, line, path);
	json_decref(answer);
	return rc;
}

/* --- the table ------------------------------------------------------------------------------ */

struct group {
	struct fold best;
	long runs;
	long reached; /* runs that found best.energy */
};

struct report {
	struct group group[GROUPS_MAX];
	size_t n;
	long valid, waiting; /* tasks with and without a believed result */
	long next;           /* lowest index the next record may have */
};

static struct group *report_group(struct report *r, const struct fold *f)
{
	size_t i = 0;

	while (i < r->n && (strcmp(r->group[i].best.name, f->name) ||
				   strcmp(r->group[i].best.sequence, f->sequence)))
		i++;
	if (i == GROUPS_MAX)
		return NULL;
	if (i == r->n) {
		r->n++;
		r->group[i].best = *f;
	}
	return &r->group[i];
}

static int report_add(struct report *r, const struct fold *f)
{
	struct group *g = report_group(r, f);

	if (!g)
		return fault("more than %d different sequences", GROUPS_MAX);
	if (f->energy < g->best.energy) {
		g->best = *f;
		g->reached = 0;
	}
	g->reached += f->energy == g->best.energy;
	g->runs++;
	r->valid++;
	return 0;
}

/* Take one record of results.ndjson. Tasks that failed or wait have no fold: they are counted. */
static int report_record(struct report *r, json_t *record, const char *dir, long row)
{
	const char *state, *line = NULL;
	json_int_t index;
	int code = 0;
	struct fold f;

	if (json_unpack(record, "{s:I, s:s, s?i, s?s}", "index", &index, "state", &state, "exit",
		    &code, "line", &line))
		return fault("results.ndjson, line %ld: no record of a task", row);
	if (index < r->next || index > INT32_MAX)
		return fault("results.ndjson, line %ld: index %" JSON_INTEGER_FORMAT
			     " is out of order",
			row, index);
	r->next = (long)index + 1;
	if (strcmp(state, "valid") != 0 || code != 0) {
		r->waiting++;
		return 0;
	}
	if (answer_read(&f, dir, (long)index, line))
		return -1;
	return report_add(r, &f);
}

/* Read one line, without its newline, into `buf`. Returns its length, -1 at the end; a line of more
 * than `max` bytes is cut and has length `max`. */
static long next_line(FILE *f, char *buf, long max)
{
	long n = 0;
	int c;

	while ((c = getc(f)) != EOF && c != '\n')
		if (n < max)
			buf[n++] = (char)c;
	return c == EOF && n == 0 ? -1 : n;
}

static void report_read(struct report *r, const char *dir)
{
	static char line[RECORD_MAX];
	char path[4096 + 32];
	long len;
	FILE *f;

	snprintf(path, sizeof path, "%s/results.ndjson", dir);
	f = fopen(path, "r");
	if (!f)
		die(1, "cannot read %s: %s", path, strerror(errno));
	for (long row = 1; (len = next_line(f, line, RECORD_MAX)) >= 0; row++) {
		json_t *record = NULL;

		if (len < RECORD_MAX)
			record = json_loadb(line, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
		if (record)
			report_record(r, record, dir, row);
		else
			fault("results.ndjson, line %ld is not JSON", row);
		json_decref(record);
	}
	if (ferror(f))
		die(1, "cannot read %s: %s", path, strerror(errno));
	fclose(f);
}

static void report_row(const struct group *g, int width)
{
	const struct known *k = known_find(g->best.sequence);
	char best[16] = "?", reached[48] = "-";

	if (k) {
		snprintf(best, sizeof best, "%d", k->best);
		snprintf(reached, sizeof reached, "%ld of %ld",
			g->best.energy <= k->best ? g->reached : 0, g->runs);
	}
	printf("%-*s  %6d  %4ld  %10d  %10s  %s\n", width, g->best.name, g->best.n, g->runs,
		g->best.energy, best, reached);
}

static void report_print(const struct report *r)
{
	int width = (int)strlen("sequence");

	for (size_t i = 0; i < r->n; i++)
		if ((int)strlen(r->group[i].best.name) > width)
			width = (int)strlen(r->group[i].best.name);
	printf("%-*s  %6s  %4s  %10s  %10s  %s\n", width, "sequence", "length", "runs",
		"best found", "best known", "runs that reached it");
	for (size_t i = 0; i < r->n; i++)
		report_row(&r->group[i], width);
	printf("%ld folds checked: none crosses itself, every energy was counted anew.\n",
		r->valid);
	if (r->waiting)
		printf("%ld tasks have no believed result (yet).\n", r->waiting);
}

/* --- the drawing ---------------------------------------------------------------------------- */

/* How far the group is from the best known: 0 reached it; unknown sequences come last. */
static int group_gap(const struct group *g)
{
	const struct known *k = known_find(g->best.sequence);

	if (!k)
		return INT32_MAX;
	return g->best.energy > k->best ? g->best.energy - k->best : 0;
}

/* The fold to show: the longest that reached the best known, or else the one nearest to it. */
static const struct fold *report_show(const struct report *r)
{
	const struct group *show = NULL;

	for (size_t i = 0; i < r->n; i++) {
		const struct group *g = &r->group[i];
		int closer = show ? group_gap(show) - group_gap(g) : 1;

		if (closer > 0 || (closer == 0 && g->best.n > show->best.n))
			show = g;
	}
	return show ? &show->best : NULL;
}

enum { CELL = 46, MARGIN = 48, HEAD = 92, FOOT = 60, WIDTH_MIN = 560 };

/* The page, and where the lattice lies on it. */
struct canvas {
	FILE *out;
	const struct fold *f;
	int turned;    /* a tall fold is laid on its side */
	int left, top; /* page position of the lattice's corner */
	int min_x, min_y;
	int width, height;
};

static int across(const struct canvas *c, int bead)
{
	return c->left + CELL * ((c->turned ? c->f->y[bead] : c->f->x[bead]) - c->min_x);
}

static int down(const struct canvas *c, int bead)
{
	return c->top + CELL * ((c->turned ? c->f->x[bead] : c->f->y[bead]) - c->min_y);
}

static void span(const int *v, int n, int *min, int *size)
{
	int max = v[0];

	*min = v[0];
	for (int i = 1; i < n; i++) {
		*min = v[i] < *min ? v[i] : *min;
		max = v[i] > max ? v[i] : max;
	}
	*size = max - *min;
}

static void canvas_fit(struct canvas *c, const struct fold *f)
{
	int w, h;

	c->f = f;
	span(f->x, f->n, &c->min_x, &w);
	span(f->y, f->n, &c->min_y, &h);
	c->turned = h > w;
	if (c->turned) {
		int t = w, m = c->min_x;

		w = h, h = t;
		c->min_x = c->min_y, c->min_y = m;
	}
	c->width = w * CELL + 2 * MARGIN;
	if (c->width < WIDTH_MIN)
		c->width = WIDTH_MIN;
	c->height = HEAD + h * CELL + 2 * MARGIN + FOOT - MARGIN;
	c->left = (c->width - w * CELL) / 2;
	c->top = HEAD + MARGIN / 2;
}

/* A minus sign, which is wider than a hyphen. */
static const char *minus(int number)
{
	return number < 0 ? "\xe2\x88\x92" : "";
}

static void draw_head(const struct canvas *c)
{
	const struct known *k = known_find(c->f->sequence);
	int mid = c->width / 2;

	fprintf(c->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" "
		"font-family=\"'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\">\n"
		"<title>%s, energy %d</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fbfaf7\"/>\n",
		c->width, c->height, c->width, c->height, c->f->name, c->f->energy);
	fprintf(c->out,
		"<text x=\"%d\" y=\"42\" text-anchor=\"middle\" "
		"font-size=\"22\" font-weight=\"bold\" fill=\"#1d2733\">%s: energy %s%d",
		mid, c->f->name, minus(c->f->energy), abs(c->f->energy));
	if (k)
		fprintf(c->out, "<tspan font-weight=\"normal\" dx=\"8\">(best known %s%d)</tspan>",
			minus(k->best), abs(k->best));
	fprintf(c->out,
		"</text>\n<text x=\"%d\" y=\"68\" text-anchor=\"middle\" "
		"font-size=\"14\" fill=\"#5b6672\">"
		"%d beads on the square lattice, found by task %ld (seed %" PRIu64 ")</text>\n",
		mid, c->f->n, c->f->index, c->f->seed);
}

static void draw_contacts(const struct canvas *c)
{
	fputs("<g stroke=\"#d1603d\" stroke-width=\"3\" stroke-dasharray=\"4 4\">\n", c->out);
	for (int i = 0; i < c->f->n; i++)
		for (int j = 0; j < i; j++)
			if (is_contact(c->f, i, j))
				fprintf(c->out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
					across(c, i), down(c, i), across(c, j), down(c, j));
	fputs("</g>\n", c->out);
}

static void draw_backbone(const struct canvas *c)
{
	fputs("<polyline fill=\"none\" stroke=\"#8694a3\" stroke-width=\"6\" "
	      "stroke-linejoin=\"round\" stroke-linecap=\"round\" points=\"",
		c->out);
	for (int i = 0; i < c->f->n; i++)
		fprintf(c->out, "%s%d,%d", i ? " " : "", across(c, i), down(c, i));
	fputs("\"/>\n", c->out);
}

static void draw_bead(FILE *out, int x, int y, char bead)
{
	fprintf(out,
		"<circle cx=\"%d\" cy=\"%d\" r=\"11\" fill=\"%s\" "
		"stroke=\"#1f4e79\" stroke-width=\"2.5\"/>\n",
		x, y, bead == 'H' ? "#1f4e79" : "#ffffff");
}

/* The beads, with the number of the first and the last written in them: its direction. */
static void draw_beads(const struct canvas *c)
{
	for (int i = 0; i < c->f->n; i++)
		draw_bead(c->out, across(c, i), down(c, i), c->f->sequence[i]);
	for (int i = 0; i < c->f->n; i += c->f->n - 1)
		fprintf(c->out,
			"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" "
			"font-size=\"11\" font-weight=\"bold\" fill=\"%s\">%d</text>\n",
			across(c, i), down(c, i) + 4,
			c->f->sequence[i] == 'H' ? "#ffffff" : "#1f4e79", i + 1);
}

static void draw_legend(const struct canvas *c)
{
	int x = c->width / 2 - 228, y = c->height - 28;

	draw_bead(c->out, x, y, 'H');
	draw_bead(c->out, x + 160, y, 'P');
	fprintf(c->out,
		"<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" "
		"stroke=\"#d1603d\" stroke-width=\"3\" stroke-dasharray=\"4 4\"/>\n"
		"<g font-size=\"14\" fill=\"#1d2733\">\n"
		"<text x=\"%d\" y=\"%d\">H, hydrophobic</text>\n"
		"<text x=\"%d\" y=\"%d\">P, polar</text>\n"
		"<text x=\"%d\" y=\"%d\">H\xe2\x80\x93H contact, \xe2\x88\x92"
		"1 each</text>\n</g>\n",
		x + 270, y, x + 302, y, x + 18, y + 5, x + 178, y + 5, x + 310, y + 5);
}

static void draw(const char *path, const struct fold *f)
{
	struct canvas c = { .out = fopen(path, "w") };
	int bad;

	if (!c.out)
		die(1, "cannot write %s: %s", path, strerror(errno));
	canvas_fit(&c, f);
	draw_head(&c);
	draw_backbone(&c);
	draw_contacts(&c);
	draw_beads(&c);
	draw_legend(&c);
	fputs("</svg>\n", c.out);
	bad = ferror(c.out);
	if (fclose(c.out) || bad)
		die(1, "cannot write %s: %s", path, strerror(errno));
	printf("Drew the best fold of %s (energy %d) in %s.\n", f->name, f->energy, path);
}

/* -------------------------------------------------------------------------------------------- */

static const char usage[] =
	"usage: fold-report RESULTS_DIR [-o BEST.svg] [--sequences FILE]\n"
	"Check the folds in a directory written by `talkoot results JOB --output RESULTS_DIR`\n"
	"and print what was found.\n"
	"  -o, --output BEST.svg  draw the best fold\n"
	"  --sequences FILE       lines NAME LENGTH BEST SEQUENCE of what is known,\n"
	"                         instead of the compiled-in benchmark\n"
	"Exit: 0 all results are right, 1 one is not, 2 usage.\n";

struct options {
	const char *dir;
	const char *svg;
};

static void options_read(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "sequences", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
		if (c == 'o')
			o->svg = optarg;
		else if (c == 's')
			known_read(optarg);
		else if (c == 'h')
			exit(fputs(usage, stdout) < 0);
		else
			exit(2);
	}
	if (optind != argc - 1)
		die(2, "want one RESULTS_DIR; see --help");
	o->dir = argv[optind];
	if (strlen(o->dir) > 4096)
		die(2, "the name of RESULTS_DIR is too long");
}

int main(int argc, char **argv)
{
	static struct report report;
	struct options o = { NULL, NULL };
	const struct fold *show;

	options_read(&o, argc, argv);
	report_read(&report, o.dir);
	report_print(&report);
	show = report_show(&report);
	if (o.svg && show)
		draw(o.svg, show);
	else if (o.svg)
		die(1, "no fold to draw");
	if (faults > FAULTS_SHOWN)
		fprintf(stderr, "fold-report: %lu faults in all, the first %d shown\n", faults,
			FAULTS_SHOWN);
	if (fflush(stdout))
		die(1, "cannot write the report: %s", strerror(errno));
	return faults ? 1 : 0;
}
