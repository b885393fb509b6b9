/* SPDX-License-Identifier: Apache-2.0
 *
 * libm.c: a digest (FNV-1a) of many results of libm, for comparing processors.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t hash = UINT64_C(0xcbf29ce484222325);

static void add(double x)
{
	unsigned char b[8];

	memcpy(b, &x, 8);
	for (int i = 0; i < 8; i++)
		hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
}

int main(void)
{
	for (int i = 1; i <= 20000; i++) {
		double x = i * 0.000737;

		add(sin(x));
		add(cos(x));
		add(exp(x));
		add(pow(x, 1.7));
		add(expm1(x));
		add(tgamma(x));
		add(atan2(x, 3));
	}
	printf("%016llx\n", (unsigned long long)hash);
	return 0;
}
