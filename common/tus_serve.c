/* SPDX-License-Identifier: Apache-2.0
 *
 * tus_serve.c: see tus_serve.h.
 */
#include "common/tus_serve.h"
#include "common/blob.h"
#include "common/codec.h"
#include "common/tus.h"

#include <string.h>

static bool says(const struct req *r, const char *header, const char *value)
{
	const char *said = req_header(r, header);

	return said && !strcmp(said, value);
}

int tus_check_version(const struct req *r, struct err *e)
{
	return says(r, "Tus-Resumable", TUS_VERSION)
	               ? 0
	               : err_field(e, "Tus-Resumable", "must be " TUS_VERSION);
}

int tus_check_part(const struct req *r, struct err *e)
{
	return says(r, "Content-Type", TUS_PART_TYPE)
	               ? 0
	               : err_field(e, "Content-Type", "must be " TUS_PART_TYPE);
}

int tus_read_length(int64_t *bytes, const struct req *r, struct err *e)
{
	const char *said = req_header(r, "Upload-Length");

	return said && int_parse(bytes, said, 0, BLOB_SIZE_MAX)
	               ? 0
	               : err_field(e, "Upload-Length", "is missing or not a size");
}

int tus_read_offset(int64_t *bytes, const struct req *r, struct err *e)
{
	const char *said = req_header(r, "Upload-Offset");

	return said && int_parse(bytes, said, 0, BLOB_SIZE_MAX)
	               ? 0
	               : err_field(e, "Upload-Offset", "is missing or not an offset");
}
