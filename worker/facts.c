/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c: the facts of mend.h, read from this machine.
 */
#include "common/buf.h"
#include "common/codec.h"
#include "worker/mend.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FACT_MAX 65536
#define PROFILE "/etc/apparmor.d/talkoot-sandbox"

static bool there(const char *path)
{
	return !access(path, F_OK);
}

/* The file's text; "" when it cannot be read. Yours. */
static char *text_of(const char *path)
{
	char *text;
	struct err e;
	size_t n;

	return file_read(&text, &n, path, FACT_MAX, &e) ? xstrdup("") : text;
}

static int64_t setting(const char *path)
{
	auto_free char *text = text_of(path);
	int64_t n;

	text[strcspn(text, "\n")] = '\0';
	return int_parse(&n, text, 0, INT64_MAX) ? n : FACT_UNKNOWN;
}

/* Whether a line of the file begins with `start` and holds `word` behind it. */
static bool line_with(const char *path, const char *start, const char *word)
{
	auto_free char *text = text_of(path);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (!strncmp(line, start, strlen(start)) && strstr(line + strlen(start), word))
			return true;
	return false;
}

static bool profile_names(const char *sandbox)
{
	auto_free char *text = text_of(PROFILE), *path = realpath(sandbox, NULL);
	auto_free char *attached = xprintf(" %s flags=", path ? path : sandbox);

	return strstr(text, attached) != NULL;
}

static int64_t kernel_here(void)
{
	struct utsname u;
	char *dot;

	if (uname(&u))
		return 0;
	return strtol(u.release, &dot, 10) * 1000 + (*dot == '.' ? strtol(dot + 1, NULL, 10) : 0);
}

static void read_namespaces(struct facts *f)
{
	static const char *const names[BOX_N_LAYERS] = { [BOX_LAYER_USERNS] = "user",
		[BOX_LAYER_PIDNS] = "pid", [BOX_LAYER_MOUNTNS] = "mnt", [BOX_LAYER_NETNS] = "net",
		[BOX_LAYER_IPCNS] = "ipc", [BOX_LAYER_UTSNS] = "uts" };

	for (int i = 0; i < BOX_N_LAYERS; i++) {
		auto_free char *path = names[i] ? xprintf("/proc/sys/user/max_%s_namespaces", names[i])
						: xstrdup("");

		f->max[i] = setting(path);
	}
	f->clone = setting("/proc/sys/kernel/unprivileged_userns_clone");
	f->apparmor = setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
}

void facts_read(struct facts *f, const char *sandbox)
{
	auto_free char *lsm = text_of("/sys/kernel/security/lsm");

	*f = (struct facts){ .root = geteuid() == 0,
		.container = there("/.dockerenv") || there("/run/.containerenv"),
		.filtered = line_with("/proc/self/status", "Seccomp:", "2"),
		.profile = there(PROFILE),
		.profile_fits = profile_names(sandbox),
		.profile_can = there("/etc/apparmor.d/abi/4.0"),
		.proc_children = there("/proc/thread-self/children"),
		.hidepid = line_with("/proc/mounts", "proc /proc ", "hidepid="),
		.grubby = there("/usr/sbin/grubby") || there("/sbin/grubby"),
		.kernel = kernel_here() };
	read_namespaces(f);
	snprintf(f->lsm, sizeof(f->lsm), "%.*s", (int)strcspn(lsm, "\n"), lsm);
}
