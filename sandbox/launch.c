/* SPDX-License-Identifier: Apache-2.0
 *
 * launch.c: the launcher: opens, clones, watches, judges, collects.
 *
 * The program's output goes through pipes that are counted here. The launcher ends the box by killing its
 * init. Why it ended is the launcher's own record: a program can forge an exit code or a signal, not that.
 */
#include "sandbox/launch.h"
#include "sandbox/limit.h"
#include "sandbox/reap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_MS 20
#define CPU_SLACK_US 50000 /* the kernel counts RLIMIT_CPU in ticks */
#define MIB (1024 * 1024LL)

struct launch {
	const struct spec *spec;
	struct run *run;
	int in, out, err; /* where the program's streams come from and go to */
	int out_pipe, err_pipe, talk, signals;
	int to;     /* --out's folder */
	int out_fd; /* the box's /out */
	pid_t init;
	struct cgroup cgroup;
	bool killed, ended;
	int64_t began_us, output_bytes;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- opening ----------------------------------------------------------------------------------- */

static int open_stream(const char *flag, const char *path, int flags, int otherwise, struct fail *f)
{
	int fd = path ? open(path, flags | O_CLOEXEC | O_NOCTTY, 0600) : fcntl(otherwise, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return fail_sys(f, "--%s %.200s", flag, path ? path : "");
	return fd;
}

static int open_out(struct launch *l, struct fail *f)
{
	const char *path = l->spec->out;

	l->to = -1;
	if (!path)
		return 0;
	if (mkdir(path, 0700) && errno != EEXIST)
		return fail_sys(f, "--out: making %.200s", path);
	l->to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return l->to < 0 ? fail_sys(f, "--out %.200s", path) : 0;
}

/* Whether the ELF header and program headers of `fd` are those of a program that needs no loader. */
static int check_static(int fd, const char *path, bool loader_ok, struct fail *f)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return fail_set(f, BOX_EXIT_NOT_STARTED, "%.200s is not an executable (ELF) file", path);
#if defined(__x86_64__)
	const int machine = EM_X86_64;
#elif defined(__aarch64__)
	const int machine = EM_AARCH64;
#else
	const int machine = head.e_machine;
#endif
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != machine)
		return fail_set(f, BOX_EXIT_NOT_STARTED, "%.200s is a program for another kind of machine", path);
	for (int i = 0; i < head.e_phnum && i < 128 && !loader_ok; i++) {
		if (pread(fd, &part, sizeof(part), (off_t)(head.e_phoff + (uint64_t)i * sizeof(part))) !=
			sizeof(part))
			return fail_set(f, BOX_EXIT_NOT_STARTED, "%.200s is cut short", path);
		if (part.p_type == PT_INTERP)
			return fail_set(f, BOX_EXIT_NOT_STARTED,
				"%.200s needs shared libraries: link it with -static, or use --profile files --root DIR",
				path);
	}
	return 0;
}

/* A copy that anybody may execute: for a launcher that is root and a program that only root can read. */
static int copy_program(int fd, struct fail *f)
{
	static char part[65536];
	ssize_t got;
	int copy = memfd_create("program", MFD_CLOEXEC);

	if (copy < 0)
		return fail_sys(f, "copying the program");
	while ((got = read(fd, part, sizeof(part))) > 0)
		if (write(copy, part, (size_t)got) != got)
			return fail_sys(f, "copying the program");
	if (got < 0 || fchmod(copy, 0555))
		return fail_sys(f, "copying the program");
	/* a descriptor open for writing cannot be executed */
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
	int again = open(path, O_RDONLY | O_CLOEXEC);
	close(copy);
	return again < 0 ? fail_sys(f, "copying the program") : again;
}

static int open_program(struct launch *l, struct fail *f)
{
	const struct spec *spec = l->spec;
	char inside[4096];
	struct stat st;
	int fd = -1;

	snprintf(inside, sizeof(inside), "%s%s", spec->root ? spec->root : "", spec->argv[0]);
	if (spec->root && spec->argv[0][0] == '/')
		fd = open(inside, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = open(spec->argv[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return fail_sys(f, "program %.200s", spec->argv[0]);
	if (!S_ISREG(st.st_mode))
		return fail_set(f, BOX_EXIT_NOT_STARTED, "program %.200s is not a file", spec->argv[0]);
	if (check_static(fd, spec->argv[0], spec->root != NULL, f))
		return -1;
	if (geteuid() == 0 && (st.st_mode & 0111) && !(st.st_mode & 0001)) {
		int copy = copy_program(fd, f);

		close(fd);
		fd = copy;
	}
	l->run->space.program = fd;
	return fd < 0 ? -1 : 0;
}

static int open_all(struct launch *l, struct fail *f)
{
	const struct spec *s = l->spec;

	l->in = open_stream("stdin", s->in_path ? s->in_path : "/dev/null", O_RDONLY, 0, f);
	if (l->in < 0)
		return -1;
	l->out = open_stream("stdout", s->out_path, O_WRONLY | O_CREAT | O_TRUNC, 1, f);
	if (l->out < 0)
		return -1;
	l->err = open_stream("stderr", s->err_path, O_WRONLY | O_CREAT | O_TRUNC, 2, f);
	if (l->err < 0)
		return -1;
	return open_out(l, f) || open_program(l, f) || space_grab(&l->run->space, s, f);
}

/* --- the loop ---------------------------------------------------------------------------------- */

/* What the whole box has used up to now. */
static struct sample take_sample(struct launch *l)
{
	struct run *r = l->run;
	struct sample s;

	sample_take(&s, l->init);
	if (s.memory_kib > r->max_rss_kib)
		r->max_rss_kib = s.memory_kib;
	if (s.cpu_us > r->cpu_us)
		r->cpu_us = s.cpu_us;
	return s;
}

static void end_box(struct launch *l, enum box_reason reason)
{
	if (l->ended || l->killed)
		return;
	take_sample(l); /* init, which would have told, dies without a word */
	l->killed = true;
	l->run->reason = reason;
	kill(l->init, SIGKILL);
}

/* Copy what is in a pipe; false at its end. */
static bool pass_on(struct launch *l, int from, int to)
{
	static char part[65536];
	int64_t left = l->spec->limits.max_output_mib * MIB - l->output_bytes;
	ssize_t got = read(from, part, sizeof(part));

	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	ssize_t keep = got > left ? (ssize_t)left : got;
	for (ssize_t done = 0, n; done < keep; done += n)
		if ((n = write(to, part + done, (size_t)(keep - done))) < 0) {
			if (errno == EINTR) {
				n = 0;
				continue;
			}
			fail_sys(&l->run->fail, "writing the program's output");
			end_box(l, BOX_SETUP);
			return true;
		}
	l->output_bytes += keep;
	if (got > left)
		end_box(l, BOX_OUTPUT);
	return true;
}

static void take_out_fd(struct launch *l, struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && l->out_fd < 0)
		memcpy(&l->out_fd, CMSG_DATA(c), sizeof(int));
}

static void judge_end(struct launch *l, const struct note *note)
{
	struct run *r = l->run;

	if (note->cpu_us > r->cpu_us)
		r->cpu_us = note->cpu_us;
	if (note->max_rss_kib > r->max_rss_kib)
		r->max_rss_kib = note->max_rss_kib;
	r->exit = WIFEXITED(note->status) ? WEXITSTATUS(note->status) : 0;
	r->signal = WIFSIGNALED(note->status) ? WTERMSIG(note->status) : 0;
	if (!l->killed)
		r->reason = r->signal ? BOX_SIGNALED : BOX_EXITED;
	l->ended = true;
}

/* A note from the box; false when it is gone. */
static bool listen_to(struct launch *l)
{
	struct note note;
	struct iovec part = { &note, sizeof(note) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(l->talk, &m, MSG_CMSG_CLOEXEC);

	if (n != sizeof(note))
		return n < 0 && errno == EINTR;
	if (note.kind == NOTE_OUT) {
		take_out_fd(l, &m);
	} else if (note.kind == NOTE_FAIL) {
		note.fail.text[sizeof(note.fail.text) - 1] = '\0';
		l->run->fail = note.fail;
		l->run->reason = BOX_SETUP;
		l->killed = true;
	} else {
		judge_end(l, &note);
	}
	return true;
}

static bool disk_is_full(const struct launch *l)
{
	struct statvfs fs;

	return l->out_fd >= 0 && !fstatvfs(l->out_fd, &fs) && (fs.f_bfree == 0 || fs.f_ffree == 0);
}

/* What only a look from outside can find. */
static void sample(struct launch *l)
{
	const struct box_limits *limits = &l->spec->limits;
	struct sample s = take_sample(l);

	if (s.memory_kib > limits->memory_mib * 1024)
		end_box(l, BOX_MEMORY);
	else if (s.cpu_us > limits->cpu_s * 1000000)
		end_box(l, BOX_CPU);
	else if (l->run->space.pid && s.processes > limits->processes)
		end_box(l, BOX_PROCESSES);
	else if (disk_is_full(l))
		end_box(l, BOX_DISK);
}

static int wait_ms(const struct launch *l, int64_t deadline)
{
	int64_t left = (deadline - now_us()) / 1000 + 1;

	if (l->killed || l->ended)
		return 1000;
	return left < 0 ? 0 : left > SAMPLE_MS ? SAMPLE_MS : (int)left;
}

static void watch(struct launch *l)
{
	struct pollfd p[] = { { .fd = l->out_pipe, .events = POLLIN }, { .fd = l->err_pipe, .events = POLLIN },
		{ .fd = l->talk, .events = POLLIN }, { .fd = l->signals, .events = POLLIN } };
	int64_t deadline = l->began_us + l->spec->limits.wall_s * 1000000, next = l->began_us + SAMPLE_MS * 1000;

	while (p[0].fd >= 0 || p[1].fd >= 0 || p[2].fd >= 0) {
		if (poll(p, 4, wait_ms(l, deadline)) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++)
			if ((p[i].revents & (POLLIN | POLLHUP | POLLERR)) && !pass_on(l, p[i].fd, i ? l->err : l->out))
				p[i].fd = -1;
		if ((p[2].revents & (POLLIN | POLLHUP)) && !listen_to(l))
			p[2].fd = -1;
		if (p[3].revents & POLLIN) {
			fail_set(&l->run->fail, BOX_EXIT_NOT_STARTED, "ended by a signal to talkoot-sandbox");
			end_box(l, BOX_SETUP);
			p[3].fd = -1;
		}
		if (now_us() >= deadline)
			end_box(l, BOX_WALL);
		if (now_us() >= next && !l->killed && !l->ended) {
			sample(l);
			next = now_us() + SAMPLE_MS * 1000;
		}
	}
}

/* --- the whole --------------------------------------------------------------------------------- */

struct ends {
	int out[2], err[2], talk[2], sync[2];
};

static int make_ends(struct ends *e, struct fail *f)
{
	if (pipe2(e->out, O_CLOEXEC) || pipe2(e->err, O_CLOEXEC) || pipe2(e->sync, O_CLOEXEC) ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->talk))
		return fail_sys(f, "pipes");
	return 0;
}

/* SIGTERM and SIGINT end the box and are reported, instead of leaving it to PDEATHSIG. */
static int catch_signals(struct fail *f)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return fail_sys(f, "signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? fail_sys(f, "signals") : fd;
}

static int start(struct launch *l, struct fail *f)
{
	const struct box_limits *limits = &l->spec->limits;
	struct stdio io;
	struct ends e;

	l->signals = catch_signals(f);
	if (l->signals < 0 || make_ends(&e, f))
		return -1;
	/* /out and /tmp are memory too: in the profile files the cgroup stands behind the sampler */
	cgroup_make(&l->cgroup, limits->memory_mib + (l->spec->profile == BOX_FILES ? limits->disk_mib : 0));
	l->init = space_clone(&l->run->space, l->spec, f);
	if (l->init < 0)
		return -1;
	if (l->init == 0) {
		io = (struct stdio){ l->in, e.out[1], e.err[1] };
		close(e.sync[1]);
		close(e.talk[0]);
		close(e.out[0]);
		close(e.err[0]);
		reap_init(&l->run->space, l->spec, &io, e.talk[1], e.sync[0]);
	}
	close(e.out[1]);
	close(e.err[1]);
	close(e.talk[1]);
	close(e.sync[0]);
	l->out_pipe = e.out[0];
	l->err_pipe = e.err[0];
	l->talk = e.talk[0];
	cgroup_enter(&l->cgroup, l->init);
	l->run->cgroup = l->cgroup.dir[0] != '\0';
	if (space_map(&l->run->space, l->init, f))
		return -1;
	return write(e.sync[1], "", 1) == 1 ? 0 : fail_sys(f, "starting the box");
}

/* The kernel's limits leave only traces: look at what they would have left. */
static void judge_limits(struct launch *l)
{
	const struct box_limits *limits = &l->spec->limits;
	struct run *r = l->run;
	bool own = r->reason == BOX_EXITED || r->reason == BOX_SIGNALED;

	if (!own)
		return;
	if (cgroup_hit(&l->cgroup) || r->max_rss_kib > limits->memory_mib * 1024)
		r->reason = BOX_MEMORY;
	else if (r->cpu_us + CPU_SLACK_US >= limits->cpu_s * 1000000)
		r->reason = BOX_CPU;
	else if (disk_is_full(l))
		r->reason = BOX_DISK;
	else if (r->signal == SIGSYS)
		r->reason = BOX_POLICY;
}

static void finish(struct launch *l)
{
	struct run *r = l->run;
	int status;

	while (waitpid(l->init, &status, 0) < 0 && errno == EINTR)
		;
	r->wall_us = now_us() - l->began_us;
	if (!l->ended && !l->killed) { /* init itself was killed: by the kernel for memory, or from outside */
		r->reason = BOX_SIGNALED;
		r->signal = SIGKILL;
	}
	judge_limits(l);
	if (r->reason == BOX_EXITED && l->to >= 0 && l->out_fd >= 0) {
		r->outputs.bytes_max = l->spec->limits.max_output_mib * MIB;
		if (collect_all(&r->outputs, l->out_fd, l->to, &r->fail))
			r->reason = BOX_SETUP;
		else if (r->outputs.overflow)
			r->reason = BOX_OUTPUT;
	}
	cgroup_remove(&l->cgroup);
}

void launch(struct run *r, const struct spec *spec)
{
	struct launch l = { .spec = spec, .run = r, .out_fd = -1, .to = -1 };

	*r = (struct run){ .reason = BOX_SETUP };
	if (open_all(&l, &r->fail))
		return;
	l.began_us = now_us();
	if (start(&l, &r->fail)) {
		if (l.init > 0) {
			kill(l.init, SIGKILL);
			waitpid(l.init, NULL, 0);
		}
		cgroup_remove(&l.cgroup);
		return;
	}
	watch(&l);
	finish(&l);
	r->started = r->reason != BOX_SETUP;
}
