/* SPDX-License-Identifier: Apache-2.0
 *
 * env.c: see env.h.
 *
 * GLIBC_TUNABLES: glibc's libm chooses by the processor between variants whose last bits differ
 * (about one result in 1500). Without FMA and AVX2 all x86-64 machines choose the same. The
 * names changed in glibc 2.33 ("AVX2_Usable" before); unknown ones are ignored.
 */
#include "sandbox/env.h"

#include <stdio.h>
#include <string.h>

static const char *const always[] = {
	"HOME=/tmp",
	"LANG=C",
	"LC_ALL=C",
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"TMPDIR=/tmp",
	"TZ=UTC0",
};
/* Those of them that an image may not choose in a deterministic run. */
static const char *const kept[] = { "LANG", "LC_ALL", "TZ" };
/* What other launchers of images take where an image says nothing. */
static const char image_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#define TUNABLES                                                                                   \
	"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4,"                               \
	"-AVX512F_Usable,-AVX2_Usable,-FMA_Usable,-FMA4_Usable"

/* numpy warns where it is told to do without what the machine does not have: jobs/pack_env.c. */
static const char *const pinned[] = {
	"ATEN_CPU_CAPABILITY=default", /* PyTorch */
	(TUNABLES),
	"MALLOC_ARENA_MAX=1",
	"MKL_CBWR=COMPATIBLE",
	"NPY_DISABLE_CPU_FEATURES=AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
	"ONEDNN_MAX_CPU_ISA=SSE41",
	"OPENBLAS_CORETYPE=Nehalem",
	"PYTHONHASHSEED=0",
	"SOURCE_DATE_EPOCH=0",
};

/* Libraries that would ask the machine how many processors it has. */
static const char *const per_thread[] = {
	"GOMAXPROCS",
	"MKL_NUM_THREADS",
	"OMP_NUM_THREADS",
	"OPENBLAS_NUM_THREADS",
	"RAYON_NUM_THREADS",
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(LEN(always) + LEN(pinned) + LEN(per_thread) + BOX_ENV_MAX < ENV_MAX,
	"the environment fits");

/* execve takes char *const *, but writes nothing. */
static char *word(const char *s)
{
	union {
		const char *in;
		char *out;
	} u = { s };

	return u.out;
}

void env_build(struct env *e, const struct box_limits *limits)
{
	size_t n = 0;

	for (size_t i = 0; i < LEN(always); i++)
		e->words[n++] = word(always[i]);
	for (size_t i = 0; limits->deterministic && i < LEN(pinned); i++)
		e->words[n++] = word(pinned[i]);
	for (size_t i = 0; i < LEN(per_thread); i++) {
		snprintf(e->threads[i], sizeof(e->threads[i]), "%s=%lld", per_thread[i],
			(long long)limits->threads);
		e->words[n++] = e->threads[i];
	}
	e->words[n] = NULL;
}

/* --- an image's ------------------------------------------------------------------------------------ */

static size_t name_bytes(const char *text)
{
	return strcspn(text, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t n = name_bytes(a);

	return name_bytes(b) == n && memcmp(a, b, n) == 0;
}

static bool is_among(const char *const *list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (same_name(list[i], text))
			return true;
	}
	return false;
}

static void put(struct env *e, const char *text)
{
	size_t n = 0;

	while (e->words[n] && !same_name(e->words[n], text))
		n++;
	if (!e->words[n])
		e->words[n + 1] = NULL;
	e->words[n] = word(text);
}

void env_add(struct env *e, const struct box_limits *limits, const char *const *words, size_t n)
{
	put(e, image_path);
	for (size_t i = 0; i < n; i++) {
		bool pins = limits->deterministic &&
		            (is_among(kept, LEN(kept), words[i]) ||
				    is_among(pinned, LEN(pinned), words[i]) ||
				    is_among(per_thread, LEN(per_thread), words[i]));

		if (!pins)
			put(e, words[i]);
	}
}

const char *env_value(const struct env *e, const char *name)
{
	for (size_t i = 0; e->words[i]; i++) {
		if (same_name(e->words[i], name))
			return e->words[i] + name_bytes(name) + 1;
	}
	return NULL;
}
