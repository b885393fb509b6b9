/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h: what a job is: one signed manifest, whose tasks are implied.
 *
 * The manifest is the payload of a MSG_JOB; the job id is the SHA-256 of its payload bytes. A million
 * tasks are a range, a product of parameters, or a list blob (NDJSON, a line a task).
 * This is the one place that turns (manifest, index) into what a program is given, so the worker,
 * `--try` and `verify --rerun` cannot differ.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include "common/blob.h"
#include "common/elf.h"
#include "common/msg.h"
#include "jobs/compare.h"

#define JOB_MANIFEST_MAX 65536
#define JOB_TASKS_MAX 1048576 /* a task costs the coordinator 16 bytes while its job is open */
#define JOB_PROGRAMS_MAX 8
#define JOB_FILES_MAX 64
#define JOB_ARGS_MAX 256
#define JOB_PARAMS_MAX 16
#define JOB_LIST_MAX (256 * MIB)
#define JOB_LIST_LINE_MAX 65536
#define JOB_LAYERS_MAX 64
#define JOB_ENV_MAX 64
#define JOB_AFTER_MAX 16
#define JOB_LOCAL_MAX 4
#define JOB_CHECKPOINT_BYTES_MAX (64 * MIB) /* of one that travels: who goes on from it fetches it */
#define JOB_COMPARE_MAX 16
#define JOB_QUORUM_MAX 15
#define JOB_RESULTS_MAX 64

/* Limits and their defaults; `--help` prints these. */
#define JOB_CPU_S 3600
#define JOB_WALL_S 7200
#define JOB_MEMORY_MIB 512
#define JOB_DISK_MIB 256
#define JOB_OUTPUT_MIB 64
#define JOB_PROCESSES 32
#define JOB_THREADS 1

enum job_profile { PROFILE_COMPUTE, PROFILE_FILES, PROFILE_IMAGE };
enum job_tasks { TASKS_RANGE, TASKS_LIST, TASKS_PRODUCT, TASKS_EACH };
enum job_checkpoint { CHECKPOINT_NONE, CHECKPOINT_LOCAL, CHECKPOINT_TRAVELS };
/* What a job may ask for beyond its profile, and a volunteer refuse. */
#define JOB_BIT_JIT 1u  /* pages that are written may be executed */
#define JOB_BIT_PROC 2u /* a masked /proc */

struct job_program {
	char platform[40]; /* "x86_64-linux" */
	char name[101];    /* argv[0], unless it has a path: then that is */
	char path[1025];   /* PROFILE_IMAGE: a path in the image, or a word looked up in its PATH */
	struct blob blob;  /* else */
};

/* An output of another job's task. */
struct job_source {
	struct digest job;
	int64_t index;  /* -1: of every task, one after the other in index order */
	char file[541]; /* "stdout" or "files/NAME" */
};

struct job_file {
	char name[101]; /* /in/NAME */
	bool from;      /* `source` says where it comes from, else `blob` is it */
	struct job_source source;
	struct blob blob;
};

/* PROFILE_IMAGE: the root file system. */
struct job_image {
	struct blob *layers; /* tars, plain or compressed, the lowest first */
	size_t n_layers;
	char **env; /* K=V */
	size_t n_env;
	char workdir[1025];
};

/* How outputs that match `glob` ("stdout" or "files/NAME") are compared. */
struct job_compare {
	char glob[201];
	struct comparison how;
};

struct job_param {
	char name[41];
	char **values;
	size_t n;
};

struct job {
	struct digest id; /* of the payload bytes */
	struct id submitter;
	char name[201];
	enum job_profile profile;
	struct job_program programs[JOB_PROGRAMS_MAX];
	size_t n_programs;
	char **args;
	size_t n_args;
	enum job_tasks tasks;
	int64_t count;
	struct blob list; /* TASKS_LIST */
	struct job_param *params; /* TASKS_PRODUCT */
	size_t n_params;
	struct job_source each; /* TASKS_EACH: a task for each of that job's, its output on standard input */
	struct job_image image;
	struct digest after[JOB_AFTER_MAX]; /* these jobs are done before it begins */
	size_t n_after;
	char local[JOB_LOCAL_MAX][101]; /* datasets that the volunteer has: read-only /in/NAME */
	size_t n_local;
	enum job_checkpoint checkpoint;
	unsigned bits; /* JOB_BIT_… */
	bool same_class; /* all copies on one platform and class */
	struct comparison compare;
	struct job_compare *compare_by; /* the first whose glob matches; else `compare` */
	size_t n_compare_by;
	bool has_comparator;
	struct job_program comparator;
	struct job_file *files;
	size_t n_files;
	char **outputs; /* globs below /out */
	size_t n_outputs;
	int64_t cpu_s, wall_s, memory_mib, disk_mib, output_mib, processes, threads;
	int quorum;         /* of assurance "quorum:N" */
	char assurance[32];
	int64_t max_results;
	int64_t max_failures; /* 0: no such limit; beyond it the job is cancelled */
	int64_t priority;     /* -10 … 10 */
	bool deterministic;
	bool is_retry;          /* of tasks of the job retry_of: each line of the list says which (`of`) */
	struct digest retry_of;
};

/* What one task is given. */
struct job_task {
	int64_t index;  /* in this job: leases, results and the seed go by it */
	int64_t number; /* what {index} is: the index, in a retry that of the task that is tried again */
	char *name, *line; /* of a list; NULL when there is none */
	bool has_stdin_blob;
	struct blob stdin_blob;    /* a task a file */
	char *stdin_text;          /* a task a line: the line and its newline; NULL: none */
	struct job_param_value { char *name, *value; } *params; /* product and table */
	size_t n_params;
	char **argv; /* argv[0] is the program's name, or its path in the image; NULL at the end; placeholders replaced */
};

/* Read and check the meaning of an opened MSG_JOB, with the field at fault named. What belongs to a
 * later issue is ERR_REFUSED naming the missing feature. */
int job_read(struct job *job, const struct msg *m, struct err *e);
void job_release(struct job *job);

/* The task's inputs. `list` is the list blob's bytes (only for TASKS_LIST). */
int job_task(struct job_task *t, const struct job *job, int64_t index, const char *list, size_t n,
	struct err *e);
void job_task_release(struct job_task *t);

/* The seed of a task: SHA-256("talkoot-seed" ‖ job id bytes ‖ decimal index). */
struct digest job_seed(const struct job *job, int64_t index);

/* What an image's tree is kept under: SHA-256 of its layers' digests, 32 bytes each, in order. */
struct digest job_image_key(const struct job_image *im);

/* The program for `platform`, or NULL. */
const struct job_program *job_program(const struct job *job, const char *platform);

/* What the --disk of a worker has to be for a task: standard output is a file there, too, and may be larger than all that the
 * program keeps below /out and /tmp. What any job may print if it says nothing does not count: a worker bears that. */
int64_t job_wants_disk_mib(const struct job *job);

/* Whether `path` (below /out) is declared by the job's output globs: `*` and `?` match within a path
 * component, `**` across. A checkpoint is no output. */
bool job_declares(const struct job *job, const char *path);

/* How the output ("stdout", "files/NAME") is compared. */
const struct comparison *job_comparison(const struct job *job, const char *output);
/* Whether results of other outcomes may agree: not everything is compared bit for bit. */
bool job_tolerant(const struct job *job);

/* "stdout" or "files/" and a path below /out. */
bool job_output_name(const char *name);
/* Whether a program or a file in /in may be called so: [A-Za-z0-9._-], no dot first. */
bool job_plain_name(const char *name);
/* Call fn for every blob that the manifest names (programs, files, list; not those in the list). */
int job_each_blob(const struct job *job, int (*fn)(void *arg, const struct blob *b, const char *what),
	void *arg);
/* The same for the stdin blobs of a list's lines. Checks every line. */
int job_each_list_blob(const struct job *job, const char *list, size_t n,
	int (*fn)(void *arg, const struct blob *b, const char *what), void *arg, struct err *e);

/* JSON of a blob descriptor; NULL-safe reading of a shape-checked one. */
json_t *blob_to_json(const struct blob *b) MUST_USE;
void blob_from_json(struct blob *b, const json_t *j);

/* --- for job.c ------------------------------------------------------------------------------- */
/* What job_more.c reads: image, sources, after, local, checkpoint, class, bits. */
int job_read_program(struct job_program *p, const json_t *j, const char *field, bool image, struct err *e);
int job_read_more(struct job *job, const json_t *m, struct err *e);
int job_read_compare(struct job *job, const json_t *m, struct err *e); /* job_compare.c */
int job_read_source(struct job_source *s, const json_t *j, const char *field, struct err *e);
void job_release_more(struct job *job);
char **job_texts(const json_t *list, size_t *n) MUST_USE;
void job_free_texts(char **texts, size_t n);
int job_later(struct err *e, const char *field, const char *what);

#endif
