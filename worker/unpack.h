/* SPDX-License-Identifier: Apache-2.0
 *
 * unpack.h: from layers to a tree, by talkoot-image: in a box of the profile `files` it lays them over each other, then,
 * outside, as a child of ours, it makes a folder of the tree stream that came out. Nothing is read here but the
 * box's report and the last line of what was said.
 */
#ifndef WORKER_UNPACK_H
#define WORKER_UNPACK_H

#include "worker/cache.h"
#include "worker/keeper.h"

struct unpack;

struct unpack_conf {
	struct loop *loop;
	struct cache *cache;
	const char *dir;
	const char *sandbox;
	const char *tool; /* talkoot-image */
	int guard;        /* guard.h's fd */
	int64_t most_mib; /* what a tree may take here */
	struct keeper *const
		*keeper; /* of the profile `files`; *keeper NULL: a box is started by itself */
};

/* e NULL: DIR/NAME.new is the tree, and `bytes` of it are counted as beside the cache's blobs. ERR_PROGRAM: refused, wherever
 * it is tried. What else it made is gone. */
typedef void unpack_fn(void *arg, const struct err *e, int64_t bytes);

/* `layers` must be here, and stay until fn. All of `conf` is borrowed. */
int unpack_start(struct unpack **out, const struct unpack_conf *conf, const char *name,
	const struct blob *layers, size_t n, unpack_fn *fn, void *arg, struct err *e);
/* End it; fn is not called. For the end of the worker: children are waited for. NULL is fine. */
void unpack_free(struct unpack *u);

/* Pure: what a flattening means that ended so. 0: it is good; ERR_PROGRAM: refused for good; else it was this machine. */
struct unpacked {
	const char *reason; /* of the box's report; NULL: there was none */
	int64_t exit, signal;
	const char *said; /* its last line */
};
int unpacked_judge(const struct unpacked *u, struct err *e);

/* Pure: what the tree of a stream takes on a disk, at most about: the bytes in it, and for each entry a block and an inode,
 * or 10^5 empty folders would be free. `tail`: the stream's last bytes, which end with its last line, `e COUNT`. */
#define UNPACKED_ENTRY_BYTES 4096
#define UNPACKED_ENTRIES_MAX 262144 /* more are refused when it is made and when it is planted */
int64_t unpacked_bytes(int64_t stream_bytes, const char *tail);

#endif
