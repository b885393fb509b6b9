/* SPDX-License-Identifier: Apache-2.0
 *
 * mend.c: a table of causes; the first that fits a missing layer says what mends it.
 *
 * Settings that forbid something to everybody come before those of a container or a service, since
 * mending these would not help yet. A command that lasts is preferred to one that is lost at the
 * next boot, and one that frees our box alone to one that frees every program.
 */
#include "worker/mend.h"

#include <string.h>

#define LASTING "echo '%s' | sudo tee /etc/sysctl.d/60-talkoot.conf && sudo sysctl --system"
#define LANDLOCK_KERNEL 5013
#define LSM_USUAL "lockdown,yama,integrity,apparmor,selinux,bpf" /* those a kernel lacks are ignored */

typedef bool fits_fn(const struct facts *f, enum box_layer layer, const char *why);

/* --- causes ----------------------------------------------------------------------------------- */

static bool needs_another(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)f, (void)layer;
	return strstr(why, "needs the user namespace") != NULL;
}

static bool forbidden_to_all(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->max[BOX_LAYER_USERNS] == 0;
}

static bool not_built_in(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)why;
	return f->max[BOX_LAYER_USERNS] == FACT_UNKNOWN || f->max[layer] == FACT_UNKNOWN;
}

static bool forbidden_to_users(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->clone == 0 && !f->root;
}

static bool too_many(const struct facts *f, enum box_layer layer, const char *why)
{
	return f->max[layer] == 0 || strstr(why, "No space left on device");
}

static bool in_container(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->container && f->filtered;
}

static bool in_any_container(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->container;
}

static bool in_service(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->filtered;
}

static bool apparmor(const struct facts *f)
{
	return f->apparmor > 0 && !f->root;
}

static bool apparmor_in_container(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return apparmor(f) && f->container;
}

static bool profile_not_loaded(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return apparmor(f) && f->profile && f->profile_fits;
}

static bool profile_of_another(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return apparmor(f) && f->profile;
}

static bool profile_missing(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return apparmor(f) && f->profile_can;
}

static bool apparmor_else(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return apparmor(f);
}

static bool old_kernel(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->kernel < LANDLOCK_KERNEL;
}

/* Known to be on: then somebody filters its system calls. */
static bool has_landlock(const struct facts *f)
{
	return strstr(f->lsm, "landlock") != NULL;
}

static bool landlock_off(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return !has_landlock(f) && !(f->container && f->filtered && !f->lsm[0]);
}

static bool hidden_processes(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer;
	return f->hidepid && f->root && strstr(why, "/proc");
}

static bool no_children(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer;
	return !f->proc_children || strstr(why, "CONFIG_PROC_CHILDREN");
}

static bool is_root(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)layer, (void)why;
	return f->root;
}

static bool always(const struct facts *f, enum box_layer layer, const char *why)
{
	(void)f, (void)layer, (void)why;
	return true;
}

/* --- commands that depend on more than the cause ------------------------------------------------ */

static char *raise_limit(const struct facts *f, enum box_layer layer)
{
	static const char *const names[BOX_N_LAYERS] = { [BOX_LAYER_USERNS] = "user",
		[BOX_LAYER_PIDNS] = "pid", [BOX_LAYER_MOUNTNS] = "mnt", [BOX_LAYER_NETNS] = "net",
		[BOX_LAYER_IPCNS] = "ipc", [BOX_LAYER_UTSNS] = "uts" };
	bool all = f->max[BOX_LAYER_USERNS] == 0;
	auto_free char *line = xprintf("user.max_%s_namespaces=65536",
		names[all || !names[layer] ? BOX_LAYER_USERNS : layer]);

	return xprintf(LASTING, line);
}

static char *switch_landlock_on(const struct facts *f, enum box_layer layer)
{
	static const char always_on[] = "capability,"; /* and no word of lsm= */
	const char *others = f->lsm[0] ? f->lsm : LSM_USUAL;

	(void)layer;
	if (!strncmp(others, always_on, strlen(always_on)))
		others += strlen(always_on);
	if (f->grubby)
		return xprintf("sudo grubby --update-kernel=ALL --args=lsm=landlock,%s && sudo reboot", others);
	return xprintf("echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX lsm=landlock,%s\"' | "
		       "sudo tee /etc/default/grub.d/landlock.cfg && sudo update-grub && sudo reboot", others);
}

/* --- the table ---------------------------------------------------------------------------------- */

#define CONTAINER "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ... " \
		  "(the box has a filter of its own)"
#define SERVICE "sudo systemctl edit UNIT, with [Service], RestrictNamespaces=no and SystemCallFilter= " \
		"(empty), where UNIT runs talkoot-worker"
#define NO_RESTRICTION "kernel.apparmor_restrict_unprivileged_userns=0"

static const struct {
	unsigned layers;
	fits_fn *fits;
	const char *text; /* or: */
	char *(*make)(const struct facts *f, enum box_layer layer);
} causes[] = {
	{ BOX_NAMESPACES, needs_another, "as for userns", NULL },
	{ BOX_NAMESPACES, forbidden_to_all, NULL, raise_limit },
	{ BOX_NAMESPACES, not_built_in, "boot a kernel with CONFIG_NAMESPACES and CONFIG_USER_NS", NULL },
	{ BOX_NAMESPACES, forbidden_to_users,
		"echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/60-talkoot.conf && "
		"sudo sysctl --system", NULL },
	{ BOX_NAMESPACES, too_many, NULL, raise_limit },
	{ BOX_NAMESPACES, in_container, CONTAINER, NULL },
	{ BOX_NAMESPACES, in_service, SERVICE, NULL },
	{ BOX_NAMESPACES, apparmor_in_container, "on the host: sudo sysctl -w " NO_RESTRICTION, NULL },
	{ BOX_NAMESPACES, profile_not_loaded,
		"sudo apparmor_parser -r /etc/apparmor.d/talkoot-sandbox", NULL },
	{ BOX_NAMESPACES, profile_of_another,
		"run the installed talkoot-worker: /etc/apparmor.d/talkoot-sandbox is for its box alone", NULL },
	{ BOX_NAMESPACES, profile_missing,
		"sudo make install, then run the installed talkoot-worker: its AppArmor profile frees the box "
		"alone (sudo sysctl -w " NO_RESTRICTION " would free every program)", NULL },
	{ BOX_NAMESPACES, apparmor_else, "sudo sysctl -w " NO_RESTRICTION, NULL },
	{ BOX_NAMESPACES, in_any_container, CONTAINER, NULL },
	{ BOX_NAMESPACES, always,
		"nothing known forbids it; in a chroot it cannot work: sudo journalctl -k -g denied may tell", NULL },

	{ BOX_BIT(LANDLOCK), old_kernel, "boot Linux 5.13 or newer", NULL },
	{ BOX_BIT(LANDLOCK), landlock_off, NULL, switch_landlock_on },
	{ BOX_BIT(LANDLOCK), in_container, CONTAINER, NULL },
	{ BOX_BIT(LANDLOCK), in_service, SERVICE, NULL },
	{ BOX_BIT(LANDLOCK), always, "boot a kernel with CONFIG_SECURITY_LANDLOCK", NULL },

	{ BOX_BIT(SECCOMP), in_container, CONTAINER, NULL },
	{ BOX_BIT(SECCOMP), always, "boot a kernel with CONFIG_SECCOMP_FILTER", NULL },

	{ BOX_BIT(RLIMITS), hidden_processes, "run talkoot-worker as an ordinary user, or: sudo mount -o "
					      "remount,hidepid=0 /proc", NULL },
	{ BOX_BIT(RLIMITS), no_children, "boot a kernel with CONFIG_PROC_CHILDREN, with /proc mounted", NULL },
	{ BOX_BIT(RLIMITS), is_root, "run talkoot-worker as an ordinary user: root is exempt", NULL },
	{ BOX_BIT(RLIMITS), always, "raise the hard limits of who runs it: see ulimit -Ha", NULL },

	{ BOX_BIT(CGROUP), always,
		"systemd-run --user --scope -p Delegate=yes talkoot-worker ... (not required)", NULL },
};

char *mend(const struct facts *f, enum box_layer layer, const char *why)
{
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		if ((causes[i].layers & 1u << layer) && causes[i].fits(f, layer, why))
			return causes[i].make ? causes[i].make(f, layer) : xstrdup(causes[i].text);
	return xstrdup("");
}

/* The kernel shows a new /proc only to who sees all of an old one (mount_too_revealing). */
const char *mend_proc(const struct facts *f)
{
	if (f->container)
		return "docker run --security-opt systempaths=unconfined ..., podman run --security-opt unmask=ALL ... "
		       "(not required)";
	if (f->filtered)
		return "sudo systemctl edit UNIT, with [Service], ProtectKernelTunables=no and ProtectProc=default, where UNIT "
		       "runs talkoot-worker (not required)";
	return "unmount what lies over parts of /proc: findmnt -R /proc shows it (not required)";
}
