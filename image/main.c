/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-image: images into layers, layers into trees, trees into folders.
 *
 * split and flatten read strangers' archives and belong in a box:
 *
 *	talkoot-sandbox --profile files --stdin IMAGE -- talkoot-image split >STREAM
 *	talkoot-sandbox --profile files --in layer-0=FILE -- talkoot-image flatten /in/layer-0 >STREAM
 *	talkoot-image plant DIR <STREAM
 */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: talkoot-image split <IMAGE >STREAM\n"
	"       talkoot-image flatten LAYER... >STREAM\n"
	"       talkoot-image plant DIR <STREAM\n"
	"Take an image apart, lay its layers over each other, make a folder of what survives.\n"
	"\n"
	"  split     IMAGE, a seekable file: an OCI image layout as a tar, what docker save or "
	"podman\n"
	"            save writes, or a tar of a root file system; each perhaps compressed. STREAM "
	"has\n"
	"            image.json, layer-0, layer-1, ...\n"
	"  flatten   LAYERs, lowest first: tar archives, perhaps compressed. STREAM is the tree of "
	"them\n"
	"  plant     DIR, new or empty: made to hold what STREAM tells, and nothing outside it\n"
	"\n"
	"  --max-mib N              no file, and not all files together, may be larger (default "
	"8192)\n"
	"  --platform OS/ARCH[/VARIANT]\n"
	"                           of an image for several (split; default: this machine's)\n"
	"  --help, --version\n"
	"\n"
	"split and flatten read strangers' archives: run them in talkoot-sandbox --profile files.\n"
	"Exit: 0 done; 1 refused or failed, with a sentence; 2 wrong usage.\n";

struct given {
	struct image_options o;
	char **words;
	int n;
};

static int split(struct given *g, struct err *e)
{
	return image_split(STDIN_FILENO, stdout, &g->o, e);
}

static int flatten(struct given *g, struct err *e)
{
	return image_flatten(g->words, g->n, stdout, &g->o, e);
}

static int plant(struct given *g, struct err *e)
{
	return image_plant(g->words[0], stdin, &g->o, e);
}

static const struct command {
	const char *name;
	int least, most; /* words after it */
	int (*run)(struct given *g, struct err *e);
} commands[] = {
	{ "split", 0, 0, split },
	{ "flatten", 1, MERGE_LAYERS_MAX, flatten },
	{ "plant", 1, 1, plant },
};

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "talkoot-image: %s: %s (see --help)\n", word, what);
	return 2;
}

static int read_mib(struct given *g, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n < 1 || n > IMAGE_MIB_MAX)
		return usage("is not a whole number from 1 to 1048576", "--max-mib");
	g->o.most_bytes = n * MIB;
	return 0;
}

static int read_platform(struct given *g, const char *value)
{
	if (!layout_platform_read(&g->o.platform, value))
		return usage("is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT", "--platform");
	return 0;
}

static const struct option {
	const char *flag;
	int (*read)(struct given *g, const char *value);
} options[] = {
	{ "--max-mib", read_mib },
	{ "--platform", read_platform },
};

/* The option that argv[*i] is, with its value there or in the next word. 0, or an exit code. */
static int read_option(struct given *g, char **argv, int *i)
{
	const char *word = argv[*i];

	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		size_t n = strlen(options[k].flag);

		if (strncmp(word, options[k].flag, n) || (word[n] && word[n] != '='))
			continue;
		if (word[n] == '=')
			return options[k].read(g, word + n + 1);
		if (!argv[*i + 1])
			return usage("needs a value", word);
		return options[k].read(g, argv[++*i]);
	}
	return usage("there is no such option", word);
}

static int run(const struct command *c, struct given *g)
{
	struct err e = { 0 };

	if (g->n < c->least)
		return usage("needs more words", c->name);
	if (g->n > c->most)
		return usage("takes no more words", g->words[c->most]);
	if (c->run(g, &e)) {
		fprintf(stderr, "talkoot-image: %s: %s\n", c->name, e.msg);
		return 1;
	}
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

/* Words without options, in place. */
static int read_words(struct given *g, char **argv)
{
	bool plain = false;
	int code;

	g->words = argv;
	for (int i = 0; argv[i]; i++) {
		if (!plain && !strcmp(argv[i], "--"))
			plain = true;
		else if (plain || argv[i][0] != '-')
			argv[g->n++] = argv[i];
		else if ((code = read_option(g, argv, &i)))
			return code;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct given g = { .o.most_bytes = IMAGE_MIB * MIB };
	const struct command *c;
	int code;

	if (argc < 2)
		return usage("needs split, flatten or plant", "command line");
	if (!strcmp(argv[1], "--help"))
		return fputs(help, stdout) < 0;
	if (!strcmp(argv[1], "--version"))
		return printf("talkoot-image %s\n", TALKOOT_VERSION) < 0;
	code = read_words(&g, argv + 1);
	if (code)
		return code;
	c = g.n ? find_command(g.words[0]) : NULL;
	if (!c)
		return usage("is none of split, flatten, plant", g.n ? g.words[0] : "command line");
	g.words++;
	g.n--;
	return run(c, &g);
}
