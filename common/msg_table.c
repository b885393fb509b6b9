/* SPDX-License-Identifier: Apache-2.0
 *
 * msg_table.c: the types of messages: their fields, and how long they may be.
 */
#include "common/msg_table.h"

#define TEXT(name_, min_, max_) { .name = name_, .kind = SHAPE_TEXT, .min = min_, .max = max_ }
#define INT(name_, min_, max_) { .name = name_, .kind = SHAPE_INT, .min = min_, .max = max_ }
#define WORD(name_, words_) { .name = name_, .kind = SHAPE_WORD, .words = words_ }
#define ONE(name_, kind_) { .name = name_, .kind = kind_ }
#define OBJECT(name_, of_) { .name = name_, .kind = SHAPE_OBJECT, .of = of_ }
#define LIST(name_, min_, max_, of_) { .name = name_, .kind = SHAPE_ARRAY, .min = min_, .max = max_, .of = of_ }
#define EACH(name_, min_, max_, each_, each_max_) \
	{ .name = name_, .kind = SHAPE_ARRAY, .min = min_, .max = max_, .each = each_, .each_max = each_max_ }
#define OPTIONAL .optional = true
#define END { .name = NULL }

#define MS_MAX (SHAPE_INT_MAX / 2) /* any time or duration in ms */
#define NAME_MAX_BYTES 200

const struct shape shape_blob[] = {
	ONE("digest", SHAPE_DIGEST),
	INT("size", 0, (int64_t)64 << 30),
	ONE("pieces_root", SHAPE_ID),
	END,
};

static const struct shape epoch_shape[] = { INT("counter", 1, MS_MAX), ONE("id", SHAPE_NONCE), END };

const struct shape msg_header_shape[] = {
	INT("v", 1, 1),
	TEXT("type", 1, 20),
	ONE("grid", SHAPE_ID),
	ONE("author", SHAPE_ID),
	INT("time", 0, MS_MAX),
	{ .name = "crit", .kind = SHAPE_ARRAY, OPTIONAL, .min = 1, .max = 16, .each = SHAPE_TEXT, .each_max = 64 },
	{ .name = "seq", .kind = SHAPE_INT, OPTIONAL, .min = 1, .max = SHAPE_INT_MAX },
	{ .name = "epoch", .kind = SHAPE_OBJECT, OPTIONAL, .of = epoch_shape },
	END,
};

static const struct shape grid_key_shape[] = {
	ONE("id", SHAPE_ID),
	EACH("roles", 1, 8, SHAPE_TEXT, 20),
	INT("from", 0, MS_MAX),
	INT("until", 0, MS_MAX),
	END,
};

static const struct shape grid_shape[] = {
	INT("serial", 1, MS_MAX),
	INT("expires", 0, MS_MAX),
	TEXT("name", 0, NAME_MAX_BYTES),
	TEXT("about", 0, 1000),
	TEXT("contact", 0, NAME_MAX_BYTES),
	LIST("keys", 1, 64, grid_key_shape),
	EACH("protocols", 1, 8, SHAPE_INT, 1000),
	EACH("features", 0, 64, SHAPE_TEXT, 64),
	EACH("addresses", 0, 16, SHAPE_TEXT, 300),
	EACH("revoked", 0, 64, SHAPE_ID, 0),
	{ .name = "sealing", .kind = SHAPE_TEXT, OPTIONAL, .max = 4096 },
	END,
};

static const struct shape program_shape[] = {
	TEXT("platform", 1, 39),
	TEXT("name", 1, 100),
	{ .name = "blob", .kind = SHAPE_OBJECT, OPTIONAL, .of = shape_blob },
	{ .name = "path", .kind = SHAPE_TEXT, OPTIONAL, .min = 1, .max = 1024 },
	END,
};

#define OUTPUT_NAME_MAX 540 /* "files/" and a path below /out */
static const struct shape source_shape[] = {
	ONE("job", SHAPE_ID),
	{ .name = "index", .kind = SHAPE_INT, OPTIONAL, .max = 1048575 },
	TEXT("file", 1, OUTPUT_NAME_MAX),
	END,
};

static const struct shape file_shape[] = {
	TEXT("name", 1, 100),
	{ .name = "blob", .kind = SHAPE_OBJECT, OPTIONAL, .of = shape_blob },
	{ .name = "from", .kind = SHAPE_OBJECT, OPTIONAL, .of = source_shape },
	END,
};

static const struct shape image_shape[] = {
	LIST("layers", 1, 64, shape_blob),
	EACH("env", 0, 64, SHAPE_TEXT, 4096),
	TEXT("workdir", 1, 1024),
	END,
};

static const struct shape compare_shape[] = { TEXT("glob", 1, 200), TEXT("how", 1, 200), END };

static const struct shape range_shape[] = { INT("count", 1, 1048576), END };
static const struct shape list_shape[] = {
	OBJECT("blob", shape_blob), INT("count", 1, 1048576), END
};
static const struct shape param_shape[] = {
	TEXT("name", 1, 40), EACH("values", 1, 65536, SHAPE_TEXT, 4096), END
};
static const struct shape each_shape[] = {
	ONE("job", SHAPE_ID), TEXT("file", 1, OUTPUT_NAME_MAX), INT("count", 1, 1048576), END
};
static const struct shape tasks_shape[] = {
	{ .name = "range", .kind = SHAPE_OBJECT, OPTIONAL, .of = range_shape },
	{ .name = "list", .kind = SHAPE_OBJECT, OPTIONAL, .of = list_shape },
	{ .name = "product", .kind = SHAPE_ARRAY, OPTIONAL, .min = 1, .max = 16, .of = param_shape },
	{ .name = "each", .kind = SHAPE_OBJECT, OPTIONAL, .of = each_shape },
	END,
};

static const struct shape limits_shape[] = {
	INT("cpu_s", 1, 31536000),
	INT("wall_s", 1, 31536000),
	INT("memory_mib", 1, 1 << 22),
	INT("disk_mib", 1, 1 << 22),
	INT("max_output_mib", 1, 65536),
	INT("processes", 1, 4096),
	END,
};

static const struct shape job_shape[] = {
	ONE("nonce", SHAPE_NONCE),
	TEXT("name", 0, NAME_MAX_BYTES),
	LIST("programs", 1, 8, program_shape),
	WORD("profile", "compute|files|image"),
	EACH("args", 0, 256, SHAPE_TEXT, 8192),
	OBJECT("tasks", tasks_shape),
	LIST("files", 0, 64, file_shape),
	EACH("outputs", 0, 16, SHAPE_TEXT, 200),
	OBJECT("limits", limits_shape),
	INT("threads", 1, 1024),
	TEXT("assurance", 1, 31),
	INT("max_results", 1, 64),
	TEXT("compare", 1, 200),
	ONE("deterministic", SHAPE_BOOL),
	TEXT("platform_class", 1, 39),
	INT("priority", -10, 10),
	{ .name = "max_failures", .kind = SHAPE_INT, OPTIONAL, .min = 1, .max = 1048576 },
	{ .name = "image", .kind = SHAPE_OBJECT, OPTIONAL, .of = image_shape },
	{ .name = "after", .kind = SHAPE_ARRAY, OPTIONAL, .min = 1, .max = 16, .each = SHAPE_ID },
	{ .name = "local", .kind = SHAPE_ARRAY, OPTIONAL, .min = 1, .max = 4, .each = SHAPE_TEXT, .each_max = 100 },
	{ .name = "checkpoint", .kind = SHAPE_WORD, OPTIONAL, .words = "none|local|travels" },
	{ .name = "comparator", .kind = SHAPE_OBJECT, OPTIONAL, .of = program_shape },
	{ .name = "compare_by", .kind = SHAPE_ARRAY, OPTIONAL, .min = 1, .max = 16, .of = compare_shape },
	{ .name = "retry_of", .kind = SHAPE_ID, OPTIONAL },
	{ .name = "bits", .kind = SHAPE_ARRAY, OPTIONAL, .max = 8, .each = SHAPE_TEXT, .each_max = 20 },
	{ .name = "deadline", .kind = SHAPE_INT, OPTIONAL, .max = MS_MAX },
	{ .name = "expires", .kind = SHAPE_INT, OPTIONAL, .max = MS_MAX },
	{ .name = "price", .kind = SHAPE_INT, OPTIONAL, .max = SHAPE_INT_MAX },
	END,
};

static const struct shape cancel_shape[] = { ONE("job", SHAPE_ID), END };

static const struct shape ticket_shape[] = {
	ONE("digest", SHAPE_DIGEST), INT("size", 0, (int64_t)64 << 30), END
};

static const struct shape returned_shape[] = { ONE("lease", SHAPE_NONCE), TEXT("why", 0, 100), END };

static const struct shape checkpoint_shape[] = { ONE("lease", SHAPE_NONCE), OBJECT("blob", shape_blob), END };

static const struct shape ask_shape[] = {
	INT("want", 0, 64),
	EACH("held", 0, 256, SHAPE_NONCE, 0),
	LIST("returned", 0, 256, returned_shape),
	INT("wait_ms", 0, 30000),
	INT("slots", 1, 4096),
	INT("cpus", 1, 65536),
	INT("memory_mib", 0, 1 << 24),
	INT("disk_mib", 0, (int64_t)1 << 32),
	EACH("profiles", 0, 8, SHAPE_TEXT, 20),
	TEXT("platform", 1, 39),
	TEXT("platform_class", 1, 39),
	TEXT("agent", 1, 63),
	{ .name = "address", .kind = SHAPE_TEXT, OPTIONAL, .min = 1, .max = 300 },
	{ .name = "via", .kind = SHAPE_ID, OPTIONAL },
	{ .name = "bits", .kind = SHAPE_ARRAY, OPTIONAL, .max = 8, .each = SHAPE_TEXT, .each_max = 20 },
	{ .name = "local", .kind = SHAPE_ARRAY, OPTIONAL, .max = 16, .each = SHAPE_TEXT, .each_max = 100 },
	{ .name = "submitters", .kind = SHAPE_ARRAY, OPTIONAL, .max = 64, .each = SHAPE_ID },
	{ .name = "checkpoints", .kind = SHAPE_ARRAY, OPTIONAL, .max = 16, .of = checkpoint_shape },
	{ .name = "local_for", .kind = SHAPE_ARRAY, OPTIONAL, .max = 16, .each = SHAPE_ID },
	WORD("state", "run|pause|finish"),
	END,
};

static const struct shape one_lease_shape[] = {
	ONE("id", SHAPE_NONCE), INT("index", 0, 1048575), INT("ttl_ms", 1, 86400000),
	{ .name = "stdin", .kind = SHAPE_OBJECT, OPTIONAL, .of = shape_blob },
	{ .name = "checkpoint", .kind = SHAPE_OBJECT, OPTIONAL, .of = shape_blob }, END
};

static const struct shape lease_shape[] = {
	ONE("worker", SHAPE_ID),
	ONE("job", SHAPE_ID),
	LIST("leases", 1, 64, one_lease_shape),
	INT("now", 0, MS_MAX),
	{ .name = "inputs", .kind = SHAPE_OBJECT, OPTIONAL, .of = shape_blob },
	END,
};

static const struct shape stderr_shape[] = {
	ONE("digest", SHAPE_DIGEST), INT("size", 0, 65536), END
};

static const struct shape one_result_shape[] = {
	INT("index", 0, 1048575),
	ONE("lease", SHAPE_NONCE),
	ONE("outcome", SHAPE_DIGEST),
	INT("exit", 0, 255),
	INT("signal", 0, 64),
	WORD("reason", "exited|signaled|cpu|wall|memory|disk|output|processes|policy|setup"),
	INT("cpu_ms", 0, MS_MAX),
	INT("wall_ms", 0, MS_MAX),
	INT("rss_kib", 0, MS_MAX),
	{ .name = "stderr", .kind = SHAPE_OBJECT, OPTIONAL, .of = stderr_shape },
	{ .name = "inherited", .kind = SHAPE_DIGEST, OPTIONAL },
	{ .name = "inputs", .kind = SHAPE_DIGEST, OPTIONAL },
	END,
};

static const struct shape result_shape[] = {
	ONE("job", SHAPE_ID),
	ONE("policy", SHAPE_DIGEST),
	TEXT("platform", 1, 39),
	TEXT("platform_class", 1, 39),
	TEXT("agent", 1, 63),
	LIST("results", 1, 64, one_result_shape),
	END,
};

static const struct shape subject_digest_shape[] = { ONE("sha256", SHAPE_ID), END };
static const struct shape annotations_shape[] = {
	INT("size", 0, (int64_t)64 << 30), ONE("pieces_root", SHAPE_ID), END
};
static const struct shape subject_shape[] = {
	TEXT("name", 8, 540), /* "0/stdout" is the shortest */
	OBJECT("digest", subject_digest_shape),
	OBJECT("annotations", annotations_shape),
	END,
};
const struct shape msg_statement_shape[] = {
	TEXT("_type", 1, 100),
	LIST("subject", 1, 64 * 65, subject_shape),
	TEXT("predicateType", 1, 100),
	OBJECT("predicate", NULL),
	END,
};

static const struct shape ended_shape[] = { ONE("lease", SHAPE_NONCE), TEXT("why", 1, 20), END };

static const struct shape ack_shape[] = {
	ONE("of", SHAPE_DIGEST),
	INT("now", 0, MS_MAX),
	{ .name = "outcomes", .kind = SHAPE_ARRAY, OPTIONAL, .max = 64, .each = SHAPE_TEXT, .each_max = 20 },
	{ .name = "renewed", .kind = SHAPE_ARRAY, OPTIONAL, .max = 256, .each = SHAPE_NONCE },
	{ .name = "ended", .kind = SHAPE_ARRAY, OPTIONAL, .max = 512, .of = ended_shape },
	{ .name = "next_ms", .kind = SHAPE_INT, OPTIONAL, .max = 3600000 },
	END,
};

static const struct shape position_shape[] = {
	ONE("envelope", SHAPE_DIGEST), INT("pos", 0, 63), END
};

static const struct shape one_verdict_shape[] = {
	INT("index", 0, 1048575),
	TEXT("state", 1, 20),
	ONE("outcome", SHAPE_DIGEST),
	TEXT("class", 1, 31),
	TEXT("basis", 1, 31),
	LIST("counted", 0, 64, position_shape),
	LIST("dissent", 0, 128, position_shape),
	LIST("late", 0, 128, position_shape),
	{ .name = "why", .kind = SHAPE_TEXT, OPTIONAL, .max = 200 },
	END,
};

static const struct shape verdict_shape[] = {
	ONE("job", SHAPE_ID), LIST("tasks", 1, 256, one_verdict_shape), END
};

static const struct shape query_shape[] = {
	WORD("what", "job|task"),
	ONE("job", SHAPE_ID),
	{ .name = "index", .kind = SHAPE_INT, OPTIONAL, .max = 1048575 },
	END,
};

static const struct shape answer_shape[] = {
	ONE("of", SHAPE_DIGEST), INT("now", 0, MS_MAX), OBJECT("body", NULL), END
};

#define PEER_ADDRESS_MAX 53 /* "[…]:65535" of an IPv6 address */
static const struct shape peer_shape[] = {
	EACH("addresses", 0, 4, SHAPE_TEXT, PEER_ADDRESS_MAX),
	INT("slots", 1, 4096),
	EACH("profiles", 0, 8, SHAPE_TEXT, 20),
	TEXT("platform", 1, 39),
	TEXT("platform_class", 1, 39),
	ONE("relay", SHAPE_BOOL),
	{ .name = "admission", .kind = SHAPE_TEXT, OPTIONAL, .max = 1000 },
	INT("expires", 0, MS_MAX),
	END,
};

static const struct shape announce_shape[] = {
	ONE("of", SHAPE_DIGEST), ONE("over", SHAPE_BOOL), INT("expires", 0, MS_MAX), END
};

const struct msg_kind msg_table[N_MSG_TYPES] = {
	[MSG_GRID] = { "grid", grid_shape, 64 * 1024, MSG_PLAIN },
	[MSG_JOB] = { "job", job_shape, 96 * 1024, MSG_PLAIN },
	[MSG_CANCEL] = { "cancel", cancel_shape, 4096, MSG_PLAIN },
	[MSG_TICKET] = { "ticket", ticket_shape, 4096, MSG_PLAIN },
	[MSG_ASK] = { "ask", ask_shape, 128 * 1024, MSG_NUMBERED },
	[MSG_LEASE] = { "lease", lease_shape, 32 * 1024, MSG_EPOCH },
	[MSG_RESULT] = { "result", result_shape, MSG_LINE_MAX, MSG_PLAIN },
	[MSG_ACK] = { "ack", ack_shape, 128 * 1024, MSG_EPOCH },
	[MSG_VERDICT] = { "verdict", verdict_shape, MSG_LINE_MAX, MSG_EPOCH },
	[MSG_QUERY] = { "query", query_shape, 4096, MSG_NUMBERED },
	[MSG_ANSWER] = { "answer", answer_shape, MSG_LINE_MAX, MSG_EPOCH },
	[MSG_PEER] = { "peer", peer_shape, 4096, MSG_NUMBERED },
	[MSG_ANNOUNCE] = { "announce", announce_shape, 2048, MSG_NUMBERED },
};
