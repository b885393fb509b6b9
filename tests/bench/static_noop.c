/* SPDX-License-Identifier: Apache-2.0
 *
 * static_noop.c: what bench_sandbox launches.
 */
int main(void)
{
	return 0;
}
