/* SPDX-License-Identifier: Apache-2.0
 *
 * test_worker_box.c: what the worker understands of its box: the report, the answer to --check, and
 * what mends a missing layer on the systems we know of.
 */
#include "worker/ability.h"
#include "worker/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- mending ------------------------------------------------------------------------------------ */

#define NAMESPACES_ARE(n)                                                                          \
	{                                                                                          \
		n, n, n, n, n, n, FACT_UNKNOWN, FACT_UNKNOWN, FACT_UNKNOWN, FACT_UNKNOWN           \
	}
#define LSM "capability,lockdown,yama,apparmor"
#define DENIED "making namespaces: Operation not permitted"
#define FULL "making namespaces: No space left on device"
#define NO_LANDLOCK "landlock: this kernel has none, or it is switched off: Function not implemented"

/* Stock systems, as an ordinary user. */
static const struct facts debian12 = { .clone = 1, .apparmor = FACT_UNKNOWN, .max = NAMESPACES_ARE(96365),
	.proc_children = true, .kernel = 6001, .lsm = "landlock,lockdown,yama,loadpin,apparmor" };
static const struct facts ubuntu2204 = { .clone = 1, .apparmor = 0, .max = NAMESPACES_ARE(63000),
	.proc_children = true, .kernel = 5015, .lsm = "lockdown,capability,landlock,yama,apparmor" };
static const struct facts ubuntu2404 = { .clone = 1, .apparmor = 1, .profile_can = true,
	.max = NAMESPACES_ARE(63000), .proc_children = true, .kernel = 6008,
	.lsm = "lockdown,capability,landlock,yama,apparmor,ima,evm" };
static const struct facts fedora = { .clone = FACT_UNKNOWN, .apparmor = FACT_UNKNOWN,
	.max = NAMESPACES_ARE(60000), .proc_children = true, .grubby = true, .kernel = 6011,
	.lsm = "lockdown,capability,yama,selinux,bpf,landlock,ima,evm" };

static void mends(const struct facts *f, enum box_layer layer, const char *why, const char *start)
{
	auto_free char *text = mend(f, layer, why);

	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, start);
}

static void ubuntu_2404_wants_its_profile_and_not_a_sysctl(void **state)
{
	struct facts f = ubuntu2404;

	(void)state;
	mends(&f, BOX_LAYER_USERNS, "user namespace: writing its id maps: Operation not permitted",
		"sudo make install");
	mends(&f, BOX_LAYER_MOUNTNS, "mount namespace: making it private: Permission denied",
		"sudo make install");
	f.profile = true;
	mends(&f, BOX_LAYER_USERNS, DENIED, "run the installed talkoot-worker");
	f.profile_fits = true;
	mends(&f, BOX_LAYER_USERNS, DENIED, "sudo apparmor_parser -r /etc/apparmor.d/talkoot-sandbox");
	f.profile = f.profile_can = false; /* AppArmor's tools are gone */
	mends(&f, BOX_LAYER_USERNS, DENIED,
		"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
}

static void a_sysctl_that_forbids_is_named_and_lasts(void **state)
{
	struct facts f = debian12;

	(void)state;
	f.clone = 0;
	mends(&f, BOX_LAYER_USERNS, DENIED,
		"echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/");
	f = fedora;
	f.max[BOX_LAYER_USERNS] = 0;
	mends(&f, BOX_LAYER_USERNS, FULL, "echo 'user.max_user_namespaces=65536' | sudo tee /etc/sysctl.d/");
	mends(&f, BOX_LAYER_NETNS, FULL, "echo 'user.max_user_namespaces=65536'");
	f = ubuntu2204;
	f.max[BOX_LAYER_NETNS] = 0;
	mends(&f, BOX_LAYER_NETNS, FULL, "echo 'user.max_net_namespaces=65536'");
	mends(&ubuntu2204, BOX_LAYER_IPCNS, FULL, "echo 'user.max_ipc_namespaces=65536'");
}

static void what_forbids_more_is_mended_first(void **state)
{
	struct facts f = ubuntu2404;

	(void)state;
	f.max[BOX_LAYER_USERNS] = 0;
	f.clone = 0;
	f.container = f.filtered = true;
	mends(&f, BOX_LAYER_USERNS, DENIED, "echo 'user.max_user_namespaces");
	f.max[BOX_LAYER_USERNS] = 1000;
	mends(&f, BOX_LAYER_USERNS, DENIED, "echo kernel.unprivileged_userns_clone=1");
	f.clone = 1;
	mends(&f, BOX_LAYER_USERNS, DENIED, "docker run --security-opt seccomp=unconfined");
	f.filtered = false;
	mends(&f, BOX_LAYER_USERNS, DENIED, "on the host: sudo sysctl -w kernel.apparmor_restrict");
	f.container = false;
	mends(&f, BOX_LAYER_USERNS, DENIED, "sudo make install");
	mends(&f, BOX_LAYER_PIDNS, "needs the user namespace", "as for userns");
}

static void a_container_is_told_what_to_add_to_docker_run(void **state)
{
	struct facts f = debian12;

	(void)state;
	f.container = true; /* --privileged or not: AppArmor may still forbid to mount */
	mends(&f, BOX_LAYER_MOUNTNS, "mount namespace: making it private: Permission denied",
		"docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined");
	f.filtered = true;
	f.lsm[0] = '\0'; /* securityfs is not shown in there */
	mends(&f, BOX_LAYER_USERNS, DENIED, "docker run");
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK, "docker run");
	f.container = false;
	mends(&f, BOX_LAYER_USERNS, DENIED, "sudo systemctl edit UNIT");
}

static void a_kernel_without_namespaces_cannot_be_told_to_have_them(void **state)
{
	struct facts f = debian12;

	(void)state;
	f.max[BOX_LAYER_USERNS] = FACT_UNKNOWN;
	mends(&f, BOX_LAYER_USERNS, "making namespaces: Invalid argument", "boot a kernel");
	mends(&debian12, BOX_LAYER_USERNS, DENIED, "nothing known forbids it");
}

static void landlock_is_switched_on_where_the_kernel_has_it(void **state)
{
	struct facts f = debian12;

	(void)state;
	snprintf(f.lsm, sizeof(f.lsm), "%s", LSM);
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK,
		"echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX lsm=landlock,lockdown,yama,apparmor\"' | "
		"sudo tee /etc/default/grub.d/landlock.cfg && sudo update-grub && sudo reboot");
	f.lsm[0] = '\0';
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK, "echo 'GRUB_CMDLINE_LINUX=");
	f = fedora;
	snprintf(f.lsm, sizeof(f.lsm), "lockdown,capability,selinux");
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK,
		"sudo grubby --update-kernel=ALL --args=lsm=landlock,lockdown,capability,selinux");
	f.kernel = 5010;
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK, "boot Linux 5.13 or newer");
	f = fedora;
	f.filtered = true;
	mends(&f, BOX_LAYER_LANDLOCK, NO_LANDLOCK, "sudo systemctl edit UNIT");
}

static void the_other_layers_have_their_causes_too(void **state)
{
	struct facts f = debian12;
	const char *children = "rlimits: watching a box needs /proc with CONFIG_PROC_CHILDREN: No such file";

	(void)state;
	f.proc_children = false;
	mends(&f, BOX_LAYER_RLIMITS, children, "boot a kernel with CONFIG_PROC_CHILDREN");
	f.proc_children = f.hidepid = f.root = true;
	mends(&f, BOX_LAYER_RLIMITS, children, "run talkoot-worker as an ordinary user, or: sudo mount");
	f.hidepid = false;
	mends(&f, BOX_LAYER_RLIMITS, "rlimits: the limit on processes does not bind root here",
		"run talkoot-worker as an ordinary user");
	mends(&debian12, BOX_LAYER_SECCOMP, "seccomp: loading: Invalid argument",
		"boot a kernel with CONFIG_SECCOMP_FILTER");
	mends(&debian12, BOX_LAYER_CGROUP, "not granted", "systemd-run --user --scope -p Delegate=yes");
}

static void every_missing_layer_has_something_to_do_about_it(void **state)
{
	const struct facts none = { 0 };

	(void)state;
	for (int i = 0; i < BOX_N_LAYERS; i++) {
		auto_free char *text = mend(&none, (enum box_layer)i, "");

		assert_true(text[0] && !strchr(text, '\n'));
	}
}

/* --- the answer to --check ---------------------------------------------------------------------- */

static void an_answer_says_what_the_box_can(void **state)
{
	static const char text[] = "{\"compute\":true,\"files\":false,\"layers\":{\"userns\":\"no\","
				   "\"landlock\":\"ok\"}}";
	struct ability a;

	(void)state;
	ability_read(&a, text, strlen(text));
	assert_true(a.answered && a.compute && !a.files && !a.image);
	assert_string_equal(a.layers[BOX_LAYER_USERNS].why, "no");
	assert_string_equal(a.layers[BOX_LAYER_LANDLOCK].why, "ok");
	assert_string_equal(a.layers[BOX_LAYER_CGROUP].why, "");
	assert_string_equal(a.layers[BOX_LAYER_CGROUP].name, "cgroup");
}

static void bits_are_what_the_box_says_it_can_give(void **state)
{
	static const char all[] = "{\"compute\":true,\"files\":true,\"bits\":{\"jit\":\"ok\",\"proc\":\"ok\"}}",
			  one[] = "{\"compute\":true,\"files\":true,\"bits\":{\"jit\":\"ok\",\"proc\":\"no\"}}",
			  old[] = "{\"compute\":true,\"files\":true}", odd[] = "{\"compute\":true,\"bits\":{\"jit\":true}}";
	struct facts f = debian12;
	struct ability a;
	char *said = NULL;
	size_t n;
	FILE *out = open_memstream(&said, &n);

	(void)state;
	ability_read(&a, all, strlen(all));
	assert_int_equal(a.bits, BOX_JIT | BOX_PROC);
	ability_read(&a, old, strlen(old));
	assert_int_equal(a.bits, 0);
	ability_read(&a, odd, strlen(odd));
	assert_int_equal(a.bits, 0);
	ability_read(&a, one, strlen(one));
	assert_int_equal(a.bits, BOX_JIT);
	f.container = true;
	assert_true(ability_print(&a, &f, "/usr/bin/box", out));
	fclose(out);
	assert_non_null(strstr(said, "bit jit          works"));
	assert_non_null(strstr(said, "bit proc         does not work: no\n"));
	assert_non_null(strstr(said, "mend: docker run --security-opt systempaths=unconfined"));
	free(said);
	f.container = false;
	assert_non_null(strstr(mend_proc(&f), "findmnt -R /proc"));
	f.filtered = true;
	assert_non_null(strstr(mend_proc(&f), "ProtectKernelTunables=no"));
}

static void images_need_a_box_that_says_so_and_the_tool(void **state)
{
	static const char text[] = "{\"compute\":true,\"files\":true,\"image\":true,\"layers\":{}}";
	char dir[] = "/tmp/talkoot-unit-XXXXXX";
	struct ability a;

	(void)state;
	assert_non_null(mkdtemp(dir));
	ability_read(&a, text, strlen(text));
	assert_true(a.image);
	ability_image(&a, dir, "/none/talkoot-image");
	assert_false(a.image);
	assert_non_null(strstr(a.no_image, "talkoot-image is not beside"));
	ability_read(&a, "", 0);
	assert_false(a.image);
	ability_image(&a, dir, "/bin/sh");
	assert_string_equal(a.no_image, "");
	rmdir(dir);
}

static void a_program_that_knows_no_check_is_taken_to_do_everything(void **state)
{
	static const char *const texts[] = { "", "usage: box", "{}", "[]", "{\"compute\":1}",
		"{\"compute\":true" };
	struct ability a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		ability_read(&a, texts[i], strlen(texts[i]));
		assert_true(!a.answered && a.compute && a.files && a.bits == 0);
	}
}

static void what_is_told_has_a_command_for_each_missing_layer(void **state)
{
	static const char text[] = "{\"compute\":true,\"files\":false,\"layers\":{\"userns\":\"a\\u001b[2Jb\"}}";
	struct ability a;
	char *said = NULL;
	size_t n;
	FILE *out = open_memstream(&said, &n);

	(void)state;
	ability_read(&a, text, strlen(text));
	assert_true(ability_print(&a, &ubuntu2404, "/usr/bin/box", out));
	fclose(out);
	assert_non_null(strstr(said, "mend: sudo make install"));
	assert_null(strchr(said, '\033'));
	assert_non_null(strstr(said, "profile compute: works\n"));
	assert_non_null(strstr(said, "profile files:   does not work; only tasks of profile compute"));
	free(said);
}

/* --- the report --------------------------------------------------------------------------------- */

static bool reads(struct product *p, const char *text)
{
	*p = (struct product){ 0 };
	return product_read_report(p, text, strlen(text));
}

static void a_report_is_taken_over(void **state)
{
	struct product p;

	(void)state;
	assert_true(reads(&p, "{\"exit\":3,\"signal\":0,\"reason\":\"exited\",\"cpu_s\":1.25,"
			      "\"wall_s\":2,\"max_rss_kib\":7}"));
	assert_int_equal(p.result.exit, 3);
	assert_int_equal(p.result.cpu_ms, 1250);
	assert_int_equal(p.result.wall_ms, 2000);
	assert_int_equal(p.result.rss_kib, 7);
	assert_string_equal(p.result.reason, "exited");
}

static void a_signal_leaves_no_exit(void **state)
{
	struct product p;

	(void)state;
	assert_true(reads(&p, "{\"exit\":3,\"signal\":15,\"reason\":\"signaled\"}"));
	assert_int_equal(p.result.exit, 0);
	assert_int_equal(p.result.signal, 15);
}

static void an_unsound_report_changes_nothing(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"exit\":0,\"signal\":0}",
		"{\"exit\":0,\"signal\":0,\"reason\":\"tired\"}",
		"{\"exit\":256,\"signal\":0,\"reason\":\"exited\"}",
		"{\"exit\":-1,\"signal\":0,\"reason\":\"exited\"}",
		"{\"exit\":0,\"signal\":65,\"reason\":\"exited\"}",
		"{\"exit\":7,\"signal\":\"\",\"reason\":\"exited\"}",
		"{\"exit\":0,\"exit\":0,\"signal\":0,\"reason\":\"exited\"}" };
	struct product p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(reads(&p, bad[i]));
		assert_int_equal(p.result.exit, 0);
		assert_string_equal(p.result.reason, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ubuntu_2404_wants_its_profile_and_not_a_sysctl),
		cmocka_unit_test(a_sysctl_that_forbids_is_named_and_lasts),
		cmocka_unit_test(what_forbids_more_is_mended_first),
		cmocka_unit_test(a_container_is_told_what_to_add_to_docker_run),
		cmocka_unit_test(a_kernel_without_namespaces_cannot_be_told_to_have_them),
		cmocka_unit_test(landlock_is_switched_on_where_the_kernel_has_it),
		cmocka_unit_test(the_other_layers_have_their_causes_too),
		cmocka_unit_test(every_missing_layer_has_something_to_do_about_it),
		cmocka_unit_test(an_answer_says_what_the_box_can),
		cmocka_unit_test(bits_are_what_the_box_says_it_can_give),
		cmocka_unit_test(images_need_a_box_that_says_so_and_the_tool),
		cmocka_unit_test(a_program_that_knows_no_check_is_taken_to_do_everything),
		cmocka_unit_test(what_is_told_has_a_command_for_each_missing_layer),
		cmocka_unit_test(a_report_is_taken_over),
		cmocka_unit_test(a_signal_leaves_no_exit),
		cmocka_unit_test(an_unsound_report_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
