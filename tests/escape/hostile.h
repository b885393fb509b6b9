/* SPDX-License-Identifier: Apache-2.0
 *
 * hostile.h: one row for each thing that a program in a box must not get away with.
 *
 * `hostile NAME MARK ARG...` does one of them (or NAME,NAME...). It prints a line "BROKE what" for each thing that it
 * got, "denied what: why" for each that it did not, and exits 1 or 0. MARK is not used: by it the
 * runner finds what is left of a run. ARGs are facts of the host that the runner knows
 * (argument() below). `hostile --list` prints the tables, a row a line, for tests/system/test_escape.py.
 *
 * Every row bounds itself (MiB, processes, seconds), for it also runs outside of a box, to show that
 * it would get what it wants. Nothing here must hurt there: no call that changes the whole
 * machine has arguments that the kernel would accept.
 */
#ifndef ESCAPE_HOSTILE_H
#define ESCAPE_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

enum { COMPUTE = 1, FILES = 2, BOTH = 3 };

/* How the runner shows, outside of a box, that the row bites. */
enum bite {
	WEAK,   /* BROKE in a throw-away user, mount, pid, net, ipc and uts namespace */
	ROOT,   /* BROKE as real root in such namespaces, without the user namespace */
	BARE,   /* BROKE without any namespace: it only asks about other processes */
	LEFT,   /* a process of it is left, without any namespace */
	STAYS,  /* it does not end when asked to, without any namespace */
	STATUS, /* its exit status is what it meant to forge */
	COPIED, /* a plain copy of its /out breaks a rule of outputs */
	NO_BITE /* nothing to get: only that the box comes to the right end */
};

enum {
	/* not asked of a box without namespaces: the host's name, real numbers */
	NAMESPACED = 1,
	TERMINAL = 2, /* standard input is a terminal */
	NO_OUT = 4,   /* what it leaves in /out is no output: the box gets no --out */
	/* the kernel may be set to refuse it to anybody; then only the boxed half counts */
	MAY_LACK = 8,
	SHARED_NET = 16, /* WEAK, but with the machine's network: it talks to the runner */
	STDIN_FILE = 32, /* standard input is a file of who runs it */
	BY_BITS = 64,    /* what the bits jit and proc are for: not asked of a box that has them */
};

struct behaviour {
	const char *name;
	void (*run)(long n);
	long n;
	unsigned in; /* profiles */
	enum bite bite;
	unsigned how;     /* NAMESPACED... */
	const char *ends; /* reasons that are right, "exited" when NULL; "exited=7", "signaled=9" */
	const char *options; /* of talkoot-sandbox */
};

/* What the runner says of the host, by position. */
enum { HOST_NAME, SECRET_FILE, LAUNCHER_ENV, ABSTRACT_NAME, REAL_UID, N_ARGUMENTS };
const char *argument(int which);

/* Say that `what` (as printf) was got; with `got` false: what errno says. Gives `got`. */
bool tried(bool got, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* The same for a call's result: also an error that only the callee can give shows that it was reached. */
bool reached(long rc, const char *what, ...) __attribute__((format(printf, 2, 3)));
void broke(const char *what, ...) __attribute__((format(printf, 1, 2)));

void hold(long ms);     /* sleep, signals or not */
void burn(long ms);     /* until this thread has used so much */
void touch(size_t mib); /* and keep; ends the program where it is refused */
void say(const char *line);
bool is_boxed_pid_2(void); /* then, and only then, a signal sent to 1 or -1 is really sent */
void write_file(const char *path, size_t bytes);
int weak_run(char **argv);                        /* weak.c */
int blind_run(char **argv);                       /* weak.c */
int start_thread(int (*run)(void *), void *with); /* no pthread: the leader may end before it */

/* The tables, each ended by a row without a name. */
/* clang-format off */
#define TABLES(X) \
	X(resources) X(kernel_memory) X(sideways) X(threads) X(files) X(links) X(kernel) \
	X(rights) X(namespaces) X(signals) X(leaks) X(outputs) X(proc)
/* clang-format on */
#define X(table) extern const struct behaviour table[];
TABLES(X)
#undef X

#endif
