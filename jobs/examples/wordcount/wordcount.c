/* SPDX-License-Identifier: Apache-2.0
 *
 * wordcount.c: counts words in two steps, each a job: `map` on every text, `reduce` on all that the maps said.
 *
 *	wordcount map <TEXT      a line "WORD N" for each word of the text, sorted
 *	wordcount reduce FILE    FILE has many such lines: the same, with the numbers of a word added up
 *
 * A word is a run of letters, in lower case. Bytes beyond ASCII count as letters, so UTF-8 words stay whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 200 /* bytes; what is longer is cut */

struct entry {
	char *word;
	long long n;
};

struct table {
	struct entry *at;
	size_t n, room;
};

static void fail(const char *what)
{
	fprintf(stderr, "wordcount: %s: %s\n", what,
		errno ? strerror(errno) : "not a line of WORD N");
	exit(1);
}

static void add(struct table *t, const char *word, long long n)
{
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->at = realloc(t->at, t->room * sizeof(*t->at));
	}
	char *copy = t->at ? strdup(word) : NULL;
	if (!copy)
		fail("memory");
	t->at[t->n++] = (struct entry){ copy, n };
}

static int letter(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 'a';
	return (c >= 'a' && c <= 'z') || c >= 0x80 ? c : 0;
}

static void map(struct table *t, FILE *in)
{
	char word[WORD_MAX + 1];
	size_t n = 0;
	int c;

	do {
		int l = (c = getc(in)) == EOF ? 0 : letter(c);

		if (l && n < WORD_MAX)
			word[n++] = (char)l;
		if (l || !n)
			continue;
		word[n] = '\0';
		add(t, word, 1);
		n = 0;
	} while (c != EOF);
	if (ferror(in))
		fail("reading");
}

static void reduce(struct table *t, const char *path)
{
	FILE *in = fopen(path, "r");
	char word[WORD_MAX + 1];
	long long n;
	int got;

	if (!in)
		fail(path);
	errno = 0;
	while ((got = fscanf(in, "%200s %lld", word, &n)) == 2)
		add(t, word, n);
	if (got != EOF)
		fail(path);
	fclose(in);
}

static int by_word(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->word, ((const struct entry *)b)->word);
}

static void tell(struct table *t)
{
	if (t->n)
		qsort(t->at, t->n, sizeof(*t->at), by_word);
	for (size_t i = 0, end; i < t->n; i = end) {
		long long sum = 0;

		for (end = i; end < t->n && !strcmp(t->at[end].word, t->at[i].word); end++)
			sum += t->at[end].n;
		printf("%s %lld\n", t->at[i].word, sum);
	}
}

int main(int argc, char **argv)
{
	struct table t = { 0 };

	if (argc == 2 && !strcmp(argv[1], "map"))
		map(&t, stdin);
	else if (argc == 3 && !strcmp(argv[1], "reduce"))
		reduce(&t, argv[2]);
	else
		return fputs("usage: wordcount map <TEXT | wordcount reduce FILE\n", stderr), 2;
	tell(&t);
	return fflush(stdout) ? 1 : 0;
}
