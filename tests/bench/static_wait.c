/* SPDX-License-Identifier: Apache-2.0
 *
 * static_wait.c: what bench_sandbox keeps running, to see what a box takes.
 */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
