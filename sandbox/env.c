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

static const char *const always[] = {
	"HOME=/tmp",
	"LANG=C",
	"LC_ALL=C",
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"TMPDIR=/tmp",
	"TZ=UTC0",
};

#define TUNABLES                                                                                   \
	"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4,"                               \
	"-AVX512F_Usable,-AVX2_Usable,-FMA_Usable,-FMA4_Usable"

/* numpy warns where it is told to do without what the machine does not have: PYTHONWARNINGS. */
static const char *const pinned[] = {
	"ATEN_CPU_CAPABILITY=default", /* PyTorch */
	(TUNABLES),
	"MALLOC_ARENA_MAX=1",
	"MKL_CBWR=COMPATIBLE",
	"NPY_DISABLE_CPU_FEATURES=AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
	"ONEDNN_MAX_CPU_ISA=SSE41",
	"OPENBLAS_CORETYPE=Nehalem",
	"PYTHONHASHSEED=0",
	"PYTHONWARNINGS=ignore:During parsing environment variable:RuntimeWarning",
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
_Static_assert(LEN(always) + LEN(pinned) + LEN(per_thread) < ENV_MAX, "the environment fits");

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
