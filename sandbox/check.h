/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: what this machine grants, found by trying.
 */
#ifndef SANDBOX_CHECK_H
#define SANDBOX_CHECK_H

/* Print one JSON object: {"compute":true,"files":true,"layers":{"userns":"ok",…}}. */
void check_print(void);

#endif
