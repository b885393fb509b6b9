/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h: the two clocks. Only acting code reads them; deciding code is handed `now`.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);  /* the calendar's, since 1970 */
int64_t clock_mono_ms(void); /* never goes back; counts while the machine runs */

#endif
