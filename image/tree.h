/* SPDX-License-Identifier: Apache-2.0
 *
 * tree.h: the tree stream, version 1: a root file system as plain records, simple enough to be read
 * beside keys.
 *
 * First the line `talkoot-tree 1`, then records, each a line and then bytes:
 *
 *	d MODE PATH                 a folder
 *	f MODE MTIME SIZE PATH      a regular file; SIZE bytes follow
 *	l SIZE PATH                 a symbolic link; its text, SIZE bytes, follows
 *	h SIZE PATH                 another name of the regular file whose path, SIZE bytes, follows
 *	e COUNT                     the end, and how many records came before
 *
 * MODE is four octal digits up to 0777, MTIME seconds since 1970 (0 to TREE_MTIME_MAX), numbers are
 * decimal without leading zeros, PATH is a good path (name.h), percent-encoded. So each tree
 * has one spelling but for its order. Folders come before what is in them, files before their other
 * names; that no path comes twice is seen by who plants it. Modification times are there because Python
 * compares those of its sources with what its compiled files remember.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include "image/name.h"

#include <stdio.h>

#define TREE_RECORDS_MAX 262144 /* a large scientific image has about 100 000 */
#define TREE_MTIME_MAX INT64_C(4294967295)
#define TREE_LINK_MAX 4095 /* bytes of a symbolic link: what the kernel takes */

enum tree_kind { TREE_FOLDER = 'd', TREE_FILE = 'f', TREE_LINK = 'l', TREE_NAME = 'h' };

struct tree_record {
	enum tree_kind kind;
	unsigned mode;   /* of folders and files */
	int64_t mtime_s; /* of files */
	int64_t size;    /* of files */
	char path[NAME_BYTES_MAX + 1];
	char text[TREE_LINK_MAX + 1]; /* of links: where to; of names: the file's path */
};

/* Writing. Each checks its record by assert: what is wrong was to be refused before. Whether all could be
 * written is said by tree_end(). */
struct tree_writer {
	FILE *f;
	uint32_t records;
	int64_t owed; /* bytes of the file begun last that tree_bytes() has not had */
};

void tree_begin(struct tree_writer *w, FILE *f);
void tree_folder(struct tree_writer *w, unsigned mode, const char *path);
void tree_file(
	struct tree_writer *w, unsigned mode, int64_t mtime_s, int64_t size, const char *path);
void tree_bytes(struct tree_writer *w, const void *bytes, size_t n);
void tree_link(struct tree_writer *w, const char *path, const char *text);
void tree_name(struct tree_writer *w, const char *path, const char *file);
int tree_end(struct tree_writer *w, struct err *e);

/* Reading. */
struct tree_reader {
	FILE *f;
	int64_t most;  /* bytes of all files together */
	int64_t bytes; /* of files told of so far */
	int64_t left;  /* of the last file, not yet read */
	uint32_t records;
};

/* Reads the first line. `most_bytes` bounds one file and all files. */
int tree_open(struct tree_reader *r, FILE *f, int64_t most_bytes, struct err *e);
/* The next record into *out: 1; 0 at the proper end; -1. A file's bytes that were not read are passed over. */
int tree_next(struct tree_reader *r, struct tree_record *out, struct err *e);
/* Bytes of the file that tree_next() gave: how many (0: no more), or -1 when the stream ends early. */
ssize_t tree_read(struct tree_reader *r, void *into, size_t n, struct err *e);

#endif
