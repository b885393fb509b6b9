/* SPDX-License-Identifier: Apache-2.0
 *
 * image.h: a root file system in a file: taken apart into layers to be submitted, and layers made a folder to run
 * a task here.
 *
 * Archives are read by talkoot-image alone, and that in a box of the profile `files`; outside it only makes
 * a folder of the plain stream that comes out.
 */
#ifndef JOBS_IMAGE_H
#define JOBS_IMAGE_H

#include "common/err.h"
#include "jobs/job.h"

#include <jansson.h>

/* What an image file holds. */
struct image_parts {
	char *dir; /* a temporary folder; in its folder root are layer-0, layer-1, … */
	size_t n_layers;
	json_t *config; /* its image.json, checked: entrypoint, cmd, env, workdir ("/" when it says none) */
};

/* `path`: an OCI image layout (a tar of it, or the folder), what docker save or podman save writes, or the tar (or folder)
 * of a root file system; tars may be compressed. ERR_USAGE: it is none, or of another machine. */
int image_split(struct image_parts *p, const char *path, struct err *e);
char *image_layer(const struct image_parts *p, size_t i) MUST_USE; /* its path; yours */
void image_release(struct image_parts *p);                         /* removes the folder */

/* The path of a file that holds the blob, yours to free, or NULL with `e`. */
typedef char *image_find(void *arg, const struct blob *b, struct err *e);

/* The folder of an image's files, from the cache ($XDG_CACHE_HOME/talkoot/images), or made there. Yours. */
char *image_tree(const struct job_image *im, image_find *find, void *arg, struct err *e) MUST_USE;

/* The two that talkoot-image does in a box; what comes out is DIR/root, where DIR is a folder that is there. `what` begins the
 * message when it goes wrong. An image's file becomes layer-0, layer-1, … and image.json; n layers' files become a tree. */
int image_take_apart(const char *file, const char *dir, const char *what, struct err *e);
int image_flatten(char *const *layers, size_t n, const char *dir, const char *what, struct err *e);

#endif
