/* SPDX-License-Identifier: Apache-2.0
 *
 * box.h: what a box may do. The one header that another program (the worker) takes from here; it
 * needs no linking.
 */
#ifndef SANDBOX_BOX_H
#define SANDBOX_BOX_H

#include <stdbool.h>
#include <stdint.h>

/* compute: a static program, standard input to standard output, no file can be opened.
 * files: also /in (read-only), /out and /tmp. image: later. */
enum box_profile { BOX_COMPUTE, BOX_FILES };

struct box_limits {
	int64_t cpu_s;          /* of all its processes together */
	int64_t wall_s;
	int64_t memory_mib;     /* of all together */
	int64_t disk_mib;       /* /out and /tmp together */
	int64_t max_output_mib; /* standard output and error together */
	int64_t processes;      /* profile files; compute has one */
	int64_t threads;
	bool deterministic;
};

#define BOX_LIMITS_DEFAULT                                                                         \
	{                                                                                          \
		.cpu_s = 3600, .wall_s = 7200, .memory_mib = 512, .disk_mib = 256,                 \
		.max_output_mib = 64, .processes = 32, .threads = 1, .deterministic = true,        \
	}

/* Largest values that make sense: a year, 4 TiB, 64 GiB of output, 4096 processes. */
#define BOX_SECONDS_MAX 31536000
#define BOX_MIB_MAX 4194304
#define BOX_OUTPUT_MIB_MAX 65536
#define BOX_PROCESSES_MAX 4096
#define BOX_THREADS_MAX 1024

#define BOX_INPUTS_MAX 64
#define BOX_NAME_MAX 100   /* bytes of one part of an output's name */
#define BOX_LEVELS_MAX 4   /* parts of an output's name */
#define BOX_OUTPUTS_MAX 64 /* files taken from /out */

/* Why it ended. exited and signaled are the program's own doing; the rest are the box's. */
#define BOX_REASONS                                                                                \
	"exited", "signaled", "cpu", "wall", "memory", "disk", "output", "processes", "policy", "setup"
enum box_reason {
	BOX_EXITED,
	BOX_SIGNALED,
	BOX_CPU,
	BOX_WALL,
	BOX_MEMORY,
	BOX_DISK,
	BOX_OUTPUT,
	BOX_PROCESSES,
	BOX_POLICY,
	BOX_SETUP,
};

/* The layers, in the order of the report's "layers". cgroup is used where it is granted, never required. */
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
	X(CGROUP, "cgroup")

enum box_layer {
#define X(id, name) BOX_LAYER_##id,
	BOX_LAYER_TABLE(X)
#undef X
	BOX_N_LAYERS
};

/* Exit codes of talkoot-sandbox besides the program's own and 128+N for signal N. */
#define BOX_EXIT_USAGE 2
#define BOX_EXIT_LIMIT 124
#define BOX_EXIT_NOT_STARTED 125

#endif
