/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_program.c: a program of this machine, as a job may have it without an image: static, for a platform.
 */
#include "jobs/manifest.h"

#include "jobs/which.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOOK_BYTES 4096

const char *manifest_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* `path` is no file here, but a word that a shell would know: people type what they type elsewhere. */
static int look_elsewhere(const char *path, struct err *e)
{
	auto_free char *found = which_program(path);
	char platform[40];
	struct err why;

	if (!found || strchr(path, '/'))
		return err_set(e, ERR_USAGE, "program %s: there is no such file", path);
	if (!manifest_look(found, platform, &why))
		return err_set(e, ERR_USAGE,
			"program %s: there is no such file in this folder; if %s is meant, say so",
			path, found);
	return err_set(e, ERR_USAGE,
		"program %s: there is no such file in this folder, and a task does not see %s of "
	        "this "
		"machine: bring it: `talkoot pack -o IMG -- %s ARG...`, then `talkoot submit "
	        "--image IMG ...`",
		path, found, path);
}

int manifest_look(const char *path, char platform[40], struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char head[LOOK_BYTES];
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);

	if (fd < 0 && errno == ENOENT)
		return look_elsewhere(path, e);
	if (n < 0) {
		err_sys(e, "program %s", path);
		e->code = ERR_USAGE;
		return -1;
	}
	switch (elf_look(head, (size_t)n, platform)) {
	case ELF_STATIC:
		break;
	case ELF_DYNAMIC:
		return err_set(e, ERR_USAGE,
			"%s is dynamically linked, but a task sees no libraries of the machine "
			"where it runs: link it with "
			"-static, or bring them: `talkoot pack -o IMG -- %s`, then --image IMG",
			path, path);
	case ELF_SCRIPT:
		return err_set(e, ERR_USAGE,
			"%s is a script, but a task sees no interpreter of the machine where it "
			"runs: bring one: "
			"`talkoot pack -o IMG -- %s`, then --image IMG; or say --image for an "
			"image that has both",
			path, path);
	case ELF_FOREIGN:
		return err_set(e, ERR_USAGE, "%s is built for a machine that is not known here%s%s",
			path, *platform ? ": " : "", platform);
	case ELF_NOT:
		return err_set(e, ERR_USAGE,
			"%s is not a program: neither a static executable nor a script that begins "
		        "with `#!`; what is read by "
			"another program goes along with that: `talkoot pack -o IMG -- INTERPRETER "
		        "%s`, then --image IMG",
			path, path);
	}
	if (strcmp(platform, platform_here()) != 0)
		return err_set(e, ERR_USAGE,
			"%s is built for %s, but this machine and its grid run %s", path, platform,
			platform_here());
	return 0;
}

json_t *manifest_program(struct uploads *up, const char *path, struct err *e)
{
	char platform[40];

	if (manifest_look(path, platform, e))
		return NULL;
	if (!job_plain_name(manifest_base_name(path))) {
		err_set(e, ERR_USAGE,
			"program %s: its name is argv[0] and must be of A-Z a-z 0-9 . _ -, no dot "
			"in front: rename it",
			path);
		return NULL;
	}
	json_t *blob = uploads_file(up, path, e);
	return blob ? json_pack("{s:s, s:s, s:o}", "platform", platform, "name",
			      manifest_base_name(path), "blob", blob)
	            : NULL;
}
