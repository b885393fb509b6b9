/* SPDX-License-Identifier: Apache-2.0
 *
 * oci_write.h: a plan as an OCI image: one tar of an image layout (OCI Image Format 1.1), as `podman load` and
 * `skopeo copy oci-archive:` take it.
 *
 * The same files, words and environment give the same bytes: names are sorted, everything is user 0's, every time is 0 but
 * those of Python's sources that may have a compiled file.
 */
#ifndef JOBS_OCI_WRITE_H
#define JOBS_OCI_WRITE_H

#include "jobs/pack_env.h"

struct oci_image {
	const struct pack_plan *plan;
	const struct pack_env *env;
	const struct texts *command; /* Cmd; there is no Entrypoint */
};

/* Write it to `path`, over what is there, at once when it is whole. `tmp` is an empty folder of the same file system for
 * what is in the making. *bytes gets its size. Files that changed their size since they were planned are an error. */
int oci_write(const char *path, const struct oci_image *image, const char *tmp, int64_t *bytes,
	struct err *e);

#endif
