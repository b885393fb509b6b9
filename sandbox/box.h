/* SPDX-License-Identifier: Apache-2.0
 *
 * box.h: what a box may do and how it says what happened: plain data, shared with the worker.
 *
 * The worker starts talkoot-sandbox as a program and reads its report; it takes from here the
 * names and the numbers, so that the two cannot drift apart. Nothing here is a function that
 * needs linking.
 */
#ifndef SANDBOX_BOX_H
#define SANDBOX_BOX_H

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of talkoot-sandbox; otherwise it is the program's own, or 128 + the signal. */
#define BOX_EXIT_USAGE 2
#define BOX_EXIT_LIMIT 124
#define BOX_EXIT_SETUP 125 /* the program was not started */

enum box_profile { BOX_COMPUTE, BOX_FILES, BOX_IMAGE, BOX_N_PROFILES };
#define BOX_PROFILE_NAMES                                                                          \
	{                                                                                          \
		"compute", "files", "image"                                                        \
	}

/* What `files` and `image` may have besides, when asked for (--bits): a set, its names by their place. */
#define BOX_JIT 1u  /* memory that was written may be executed */
#define BOX_PROC 2u /* a masked /proc */
#define BOX_N_BITS 2
#define BOX_BITS_NAMES                                                                             \
	{                                                                                          \
		"jit", "proc"                                                                      \
	}

/* Zero is not "no limit": every box has all of them. */
struct box_limits {
	int64_t cpu_s;  /* of all its processes together */
	int64_t wall_s; /* from the program's start */
	int64_t memory_mib;
	int64_t disk_mib;       /* /out and /tmp together */
	int64_t max_output_mib; /* standard output and standard error together */
	int64_t processes;      /* processes + threads - 1 tasks may exist at once */
	int64_t threads;
	bool deterministic;
};

/* field, its flag, default, largest value that is accepted (all of them fit an rlimit in bytes) */
#define BOX_LIMIT_TABLE(X)                                                                         \
	X(cpu_s, "cpu", 3600, 31536000)                                                            \
	X(wall_s, "wall", 7200, 31536000)                                                          \
	X(memory_mib, "memory", 512, 16777216)                                                     \
	X(disk_mib, "disk", 256, 16777216)                                                         \
	X(max_output_mib, "max-output", 64, 1048576)                                               \
	X(processes, "processes", 32, 4096)                                                        \
	X(threads, "threads", 1, 4096)

/* Why a box ended: the report's "reason". From `cpu` to `processes` a limit ended it (exit 124). */
#define BOX_REASON_TABLE(X)                                                                        \
	X(EXITED, "exited")                                                                        \
	X(SIGNALED, "signaled")                                                                    \
	X(CPU, "cpu")                                                                              \
	X(WALL, "wall")                                                                            \
	X(MEMORY, "memory")                                                                        \
	X(DISK, "disk")                                                                            \
	X(OUTPUT, "output")                                                                        \
	X(PROCESSES, "processes")                                                                  \
	X(POLICY, "policy") /* the filter killed it (a foreign system call convention) */          \
	X(SETUP, "setup")   /* never started */

enum box_reason {
#define X(id, name) BOX_REASON_##id,
	BOX_REASON_TABLE(X)
#undef X
		BOX_N_REASONS
};

/* The layers, in the order of the report's "layers". */
#define BOX_LAYER_TABLE(X)                                                                         \
	X(USERNS, "userns")                                                                        \
	X(PIDNS, "pidns")                                                                          \
	X(MOUNTNS, "mountns")                                                                      \
	X(NETNS, "netns")                                                                          \
	X(IPCNS, "ipcns")                                                                          \
	X(UTSNS, "utsns")                                                                          \
	X(LANDLOCK, "landlock")                                                                    \
	X(SECCOMP, "seccomp")                                                                      \
	X(RLIMITS, "rlimits")                                                                      \
	X(CGROUP, "cgroup") /* where it is granted; never required */

enum box_layer {
#define X(id, name) BOX_LAYER_##id,
	BOX_LAYER_TABLE(X)
#undef X
		BOX_N_LAYERS
};

/* A set of layers is a bit mask. */
#define BOX_BIT(layer) (1u << BOX_LAYER_##layer)
#define BOX_NAMESPACES                                                                             \
	(BOX_BIT(USERNS) | BOX_BIT(PIDNS) | BOX_BIT(MOUNTNS) | BOX_BIT(NETNS) | BOX_BIT(IPCNS) |   \
		BOX_BIT(UTSNS))
#define BOX_ALWAYS (BOX_BIT(LANDLOCK) | BOX_BIT(SECCOMP) | BOX_BIT(RLIMITS))

/* Bounds of what a box is given and of what is taken out of it. */
#define BOX_NAME_MAX 100 /* bytes of an input's name or of a component of an output's path */
#define BOX_INPUTS_MAX 256
#define BOX_OUTPUT_LEVELS 4 /* directories and file together, below /out */
#define BOX_OUTPUTS_MAX 4096
#define BOX_NOT_TAKEN_MAX 64 /* names in the report; the rest is only counted */
#define BOX_ENV_MAX 64       /* words of --env */
#define BOX_ENV_BYTES 4096   /* of one */
#define BOX_ROOT_MAX 1024    /* entries of --root's top level; a usual system has 20 */

/* --- warm boxes ---------------------------------------------------------------------------------
 *
 * `talkoot-sandbox --serve --profile P`: standard input is a SOCK_SEQPACKET socket. One packet is
 * one message: a struct, and for BOX_ASK_RUN then the words of a command line (without the
 * program's own name), each ended by a NUL. Its descriptors come with it: report, program,
 * root, inputs, out, stdin, stdout, stderr, each only when the words name it (in `image` the program
 * is no file of the asker's, so it has none), but always the three streams; the paths in the words are then only for people to read.
 * When the socket's other end is gone, all boxes are. */
enum box_ask_kind { BOX_ASK_RUN, BOX_ASK_KILL, BOX_ASK_HOLD, BOX_ASK_GO_ON };
struct box_ask {
	uint32_t kind, id; /* the asker's number for it, not in use */
};
enum box_say_kind { BOX_SAY_READY, BOX_SAY_ENDED };
struct box_say {
	uint32_t kind, id;
	int32_t code; /* ENDED: as talkoot-sandbox would exit; the report is written */
};
#define BOX_ASK_BYTES 65536 /* of one packet */
#define BOX_ASK_FDS 240     /* the kernel takes 253 */
#define BOX_AT_ONCE 1024

/* Names of inputs and of outputs' components: [A-Za-z0-9._-]{1,100}, no dot in front. */
static inline bool box_name_ok(const char *name)
{
	int n = 0;

	if (name[0] == '.')
		return false;
	for (; name[n] != 0; n++) {
		char c = name[n];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		            (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

		if (!word || n == BOX_NAME_MAX)
			return false;
	}
	return n > 0;
}

#endif
