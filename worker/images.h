/* SPDX-License-Identifier: Apache-2.0
 *
 * images.h: root file systems of jobs, each unpacked once and kept for the tasks to come.
 *
 *	DIR/KEY         the tree; KEY names its layers (job_image_key())
 *	DIR/KEY.size    its bytes, and the boot in which it was made; its time is when a task had it last
 *	DIR/KEY.stream  the tree on its way, .errors and .report what was said of it
 *	DIR/KEY.new     the tree while it is planted       DIR/gone, DIR/going  discard.h
 *
 *	fetching (its layers) --> unpacking (unpack.h) --> here, or over: refused or failed
 *
 * Strangers' archives are read by talkoot-image alone, and that in a box of the profile `files`; what it says of them, a
 * tree stream, is made a folder by the same program outside. Nothing of it is done on the loop.
 * What is here counts against --disk; the one that no task has had for the longest time goes when room is needed.
 * A tree of before a reboot is not used: of what was not yet on the disk, some might be missing.
 */
#ifndef WORKER_IMAGES_H
#define WORKER_IMAGES_H

#include "worker/unpack.h"

/* An image that could not be unpacked is not tried again for so long, for a task that is given back may come again:
 * refused, too large for this machine, or for a reason that may pass. */
#define IMAGES_REFUSED_MS (60 * 60 * 1000)
#define IMAGES_LARGE_MS (10 * 60 * 1000)
#define IMAGES_TROUBLE_MS (60 * 1000)

struct images;
struct image_want;

/* e NULL: the tree is here. ERR_PROGRAM: it is no image that could run anywhere, and e says why; else this machine
 * could not have it now. Called once, from the loop, never from within images_want(). */
typedef void image_fn(void *arg, const struct err *e);

/* Removes what an earlier process left half done. */
/* `conf` is copied; what it points to is borrowed. */
int images_open(struct images **out, const struct unpack_conf *conf, struct err *e);
void images_close(struct images *all); /* ends what runs; NULL is fine */

/* A want is a pin: the tree stays until image_want_free(). */
struct image_want *images_want(
	struct images *all, const struct job_image *image, image_fn *fn, void *arg);
void image_want_free(struct image_want *w); /* fn is not called any more; NULL is fine */
/* The folder, once it is here. Borrowed. */
const char *image_folder(const struct image_want *w);

/* For `status`: how many are here, and their bytes. */
size_t images_count(const struct images *all, int64_t *bytes);

/* Pure: how long this is held against an image. */
int64_t image_patience_ms(enum err_code code);
/* Pure: KEY.size as text, and read back: -1 when it is not of this boot, or not sound. */
char *image_size_text(int64_t bytes, const char *boot) MUST_USE;
int image_size_read(int64_t *bytes, const char *text, const char *boot);

#endif
