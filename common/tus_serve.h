/* SPDX-License-Identifier: Apache-2.0
 *
 * tus_serve.h: what a request of tus.h must say before its server looks further. -1: e says which header is wrong.
 */
#ifndef COMMON_TUS_SERVE_H
#define COMMON_TUS_SERVE_H

#include "common/httpd.h"

int tus_check_version(const struct req *r, struct err *e);
/* POST: the bytes that will come, 0 to BLOB_SIZE_MAX. */
int tus_read_length(int64_t *bytes, const struct req *r, struct err *e);
/* PATCH: its body is a part; and where that belongs, 0 to BLOB_SIZE_MAX. */
int tus_check_part(const struct req *r, struct err *e);
int tus_read_offset(int64_t *bytes, const struct req *r, struct err *e);

#endif
