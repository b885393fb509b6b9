/* SPDX-License-Identifier: Apache-2.0
 *
 * policy.h: every system call a boxed program may make, one a line, each with its reason.
 *
 * What is not here fails with EPERM; another architecture's or convention's call kills. The text of
 * this file is the policy: its SHA-256 stands in every report, so a result says under which
 * rules it ran.
 *
 *	ALLOW(who, call, reason)               as it is
 *	WHEN(who, call, reason, tests)         only when all tests hold; lines of one call are "or"
 *	SEEDED(who, call, reason)              as it is; where chance has a seed, the init answers it
 *	NOSYS(who, call, reason)               "no such call": the C library then takes the older one
 *	NOSYS_WHEN(who, call, reason, tests)   the same, only when all tests hold
 *	NOTSUP(who, call, reason)              "not on this file system"
 *
 * who: COMPUTE, FILES, BOTH; ROOTED is COMPUTE once it stands in its own empty root and has its own
 * process numbers. JIT is FILES where the bit `jit` is asked for (--bits) and its volunteer allows it.
 * tests: IS(argument, value), UPTO(argument, value), MASK(argument, bits, value). SELF is the
 * program's own pid. An architecture that lacks a call goes without its lines.
 *
 * `compute` holds three descriptors and no call that opens or duplicates one: what it can make besides
 * is an event loop. Unless ROOTED it may see the host's processes, so what takes a pid takes only its own.
 */
/* clang-format off: one a line */

/* reading, writing and what a C library asks about its three streams */
ALLOW(BOTH, read, "its input")
ALLOW(BOTH, readv, "its input")
ALLOW(BOTH, write, "its output")
ALLOW(BOTH, writev, "its output; musl writes only so")
ALLOW(BOTH, lseek, "stdio asks where it stands")
ALLOW(BOTH, close, "at exit, many close")
ALLOW(BOTH, fstat, "stdio asks what a stream is; takes no path")
ALLOW(BOTH, poll, "Rust asks at start whether 0, 1, 2 are open")
ALLOW(BOTH, ppoll, "the same with a mask")
ALLOW(BOTH, select, "wait for input")
ALLOW(BOTH, pselect6, "wait for input")
WHEN(ROOTED, newfstatat, "glibc's fstat; a path finds only the empty root",
	MASK(3, AT_EMPTY_PATH, AT_EMPTY_PATH))
WHEN(BOTH, fcntl, "is it open? Go ends when it cannot ask", IS(1, F_GETFD))
WHEN(BOTH, fcntl, "is it readable, writable, non-blocking?", IS(1, F_GETFL))

/* memory: never writable and executable, never shared without a file (no limit would count it),
 * never of the host's huge pages, and of no type but these two (MAP_DROPPABLE would give the vDSO a
 * getrandom that nobody seeds) */
ALLOW(BOTH, brk, "malloc")
ALLOW(BOTH, munmap, "malloc")
ALLOW(BOTH, mremap, "realloc")
WHEN(BOTH, madvise,
	"malloc gives memory back; no sharing with other processes' pages (KSM), no swapping out",
	UPTO(2, MADV_DONTNEED))
WHEN(BOTH, madvise, "malloc gives memory back", IS(2, MADV_FREE))
WHEN(BOTH, madvise, "Go", IS(2, MADV_HUGEPAGE))
WHEN(BOTH, madvise, "Go", IS(2, MADV_NOHUGEPAGE))
WHEN(BOTH, madvise, "stack guards, newer glibc", MASK(2, ~1, MADV_GUARD_INSTALL))
WHEN(BOTH, mmap, "malloc, stacks: private, not executable", MASK(2, PROT_EXEC, 0),
	MASK(3, MAP_TYPE | MAP_HUGETLB, MAP_PRIVATE))
WHEN(FILES, mmap, "ld.so: code, not writable", MASK(2, PROT_EXEC | PROT_WRITE, PROT_EXEC),
	MASK(3, MAP_TYPE | MAP_HUGETLB, MAP_PRIVATE))
WHEN(FILES, mmap, "a file, shared", MASK(2, PROT_EXEC, 0),
	MASK(3, MAP_TYPE | MAP_HUGETLB | MAP_ANONYMOUS, MAP_SHARED))
WHEN(BOTH, mprotect, "malloc, stack guards, relro: never executable", MASK(2, PROT_EXEC, 0))
/* The bit `jit`. Of a file on /in, /out or /tmp no page can become executable even so: they are mounted noexec. */
WHEN(JIT, mmap, "room that a compiler fills and then runs (Java, V8); private, and not of a file",
	UPTO(2, PROT_READ | PROT_WRITE | PROT_EXEC),
	MASK(3, MAP_TYPE | MAP_HUGETLB | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS))
WHEN(JIT, mprotect, "what was written becomes executable (LuaJIT, LLVM), or is patched",
	UPTO(2, PROT_READ | PROT_WRITE | PROT_EXEC))

/* threads and signals of one's own */
WHEN(COMPUTE, clone, "a thread: no process, no namespace, not traced, no descriptor nor a table of its own",
	MASK(0, CLONE_THREADLY | CLONE_FILES | CLONE_NEVER | CLONE_PIDFD, CLONE_THREADLY | CLONE_FILES))
WHEN(FILES, clone, "a thread: with its process's descriptors, so that they can be counted",
	MASK(0, CLONE_THREADLY | CLONE_FILES | CLONE_NEVER, CLONE_THREADLY | CLONE_FILES))
WHEN(FILES, clone, "a process: no namespace, not traced, and no signal but SIGCHLD tells its end",
	MASK(0, CLONE_THREAD | CLONE_NEVER | CSIGNAL, SIGCHLD))
WHEN(FILES, clone, "a process whose end no signal tells", MASK(0, CLONE_THREAD | CLONE_NEVER | CSIGNAL, 0))
NOSYS(BOTH, clone3, "its flags are behind a pointer no filter sees; libraries fall back to clone")
WHEN(BOTH, futex, "locks: wait, wake", MASK(1, FUTEX_CMD_MASK & ~1, FUTEX_WAIT))
WHEN(BOTH, futex, "musl's condition variables", MASK(1, FUTEX_CMD_MASK, FUTEX_REQUEUE))
WHEN(BOTH, futex, "older glibc's condition variables: requeue, wake both",
	MASK(1, FUTEX_CMD_MASK & ~1, FUTEX_CMP_REQUEUE))
WHEN(BOTH, futex, "wait until", MASK(1, FUTEX_CMD_MASK, FUTEX_WAIT_BITSET))
WHEN(BOTH, futex, "wake some", MASK(1, FUTEX_CMD_MASK, FUTEX_WAKE_BITSET))
NOSYS_WHEN(BOTH, futex,
	"priority inheritance: a kernel hole more than once; so asked, a library does without",
	MASK(1, FUTEX_CMD_MASK & ~1, FUTEX_LOCK_PI))
ALLOW(FILES, set_robust_list, "locks shared between processes")
ALLOW(BOTH, set_tid_address, "thread start")
ALLOW(BOTH, sched_yield, "spin locks")
ALLOW(BOTH, epoll_create1, "event loops; Go sleeps in one, and ends when it gets none")
ALLOW(BOTH, epoll_ctl, "event loops; Go")
ALLOW(BOTH, epoll_pwait, "event loops; Go")
ALLOW(BOTH, eventfd2, "event loops; Go wakes itself with it")
WHEN(COMPUTE, sched_getaffinity, "how many processors; Go, Rust", IS(0, 0))
WHEN(COMPUTE, sched_getaffinity, "how many processors; OpenMP", IS(0, SELF))
ALLOW(FILES, sched_getaffinity, "how many processors")
WHEN(BOTH, arch_prctl, "thread pointer", IS(0, ARCH_SET_FS))
WHEN(BOTH, arch_prctl, "thread pointer", IS(0, ARCH_GET_FS))
WHEN(BOTH, prctl, "a thread's name", IS(0, PR_SET_NAME))
WHEN(BOTH, prctl, "a thread's name", IS(0, PR_GET_NAME))
ALLOW(BOTH, rt_sigaction, "its own signals")
ALLOW(BOTH, rt_sigprocmask, "its own signals")
ALLOW(BOTH, rt_sigreturn, "its own signals")
ALLOW(BOTH, rt_sigsuspend, "its own signals")
ALLOW(BOTH, rt_sigtimedwait, "its own signals")
ALLOW(BOTH, sigaltstack, "stack overflow handlers; Go, Rust")
ALLOW(BOTH, pause, "its own signals")
/* not SIGXFSZ or SIGSYS: by these the kernel tells that the disk or the filter ended a program, and nothing
 * else would tell a forged one apart */
WHEN(COMPUTE, tgkill, "abort, raise, pthread_kill; Go: only itself", IS(0, SELF), UPTO(2, SIGXCPU))
WHEN(COMPUTE, tgkill, "glibc's pthread_cancel", IS(0, SELF), MASK(2, ~31, 32))
WHEN(COMPUTE, tkill, "musl's abort and raise: only its first thread", IS(0, SELF), UPTO(1, SIGXCPU))
WHEN(COMPUTE, tkill, "musl's pthread_cancel", IS(0, SELF), MASK(1, ~31, 32))
WHEN(ROOTED, tkill, "musl's pthread_kill: only threads of the box have a number there", UPTO(1, SIGXCPU))
WHEN(ROOTED, tkill, "musl's pthread_cancel", MASK(1, ~31, 32))
ALLOW(BOTH, restart_syscall, "the kernel's own, after a stop")
ALLOW(BOTH, exit, "end a thread")
ALLOW(BOTH, exit_group, "end")
WHEN(BOTH, execveat,
	"the launcher's own start of it: the program it holds open as 3, after which `compute` "
	"opens none",
	IS(0, 3), IS(4, AT_EMPTY_PATH))

/* time, chance, and what it may know about where it is */
WHEN(COMPUTE, clock_gettime, "time, where the vDSO does not serve: no clock of another process",
	UPTO(0, CLOCK_TAI))
WHEN(COMPUTE, clock_getres, "time", UPTO(0, CLOCK_TAI))
WHEN(COMPUTE, clock_nanosleep, "sleep", UPTO(0, CLOCK_TAI))
ALLOW(BOTH, gettimeofday, "time")
ALLOW(BOTH, time, "time")
ALLOW(BOTH, nanosleep, "sleep")
ALLOW(BOTH, setitimer, "alarms to itself")
ALLOW(BOTH, alarm, "alarms to itself")
SEEDED(BOTH, getrandom, "hash seeds; runtimes break without it")
ALLOW(BOTH, getpid, "who am I")
ALLOW(BOTH, gettid, "who am I")
ALLOW(BOTH, getuid, "who am I")
ALLOW(BOTH, geteuid, "who am I")
ALLOW(BOTH, uname, "the C library asks for the kernel's version")
ALLOW(BOTH, sysinfo, "glibc's qsort asks how much memory there is, and does not check the answer")
ALLOW(BOTH, getrusage, "what did I use")
WHEN(BOTH, prlimit64, "the same: its own, reading only", IS(0, 0), IS(2, 0))

/* descriptors, and what a program with files asks besides */
ALLOW(FILES, dup, "shells and stdio")
ALLOW(FILES, dup2, "shells and stdio")
ALLOW(FILES, dup3, "shells and stdio")
WHEN(FILES, fcntl, "duplicate", IS(1, F_DUPFD))
WHEN(FILES, fcntl, "duplicate", IS(1, F_DUPFD_CLOEXEC))
WHEN(FILES, fcntl, "close-on-exec", IS(1, F_SETFD))
WHEN(FILES, fcntl, "append, non-blocking; not O_ASYNC, which sends signals", IS(1, F_SETFL),
	MASK(2, O_ASYNC, 0))
WHEN(FILES, ioctl, "isatty; anything that changes a terminal (TIOCSTI) is not here", IS(1, TCGETS))
WHEN(FILES, ioctl, "isatty, in musl", IS(1, TIOCGWINSZ))
WHEN(FILES, ioctl, "how much can be read", IS(1, FIONREAD))
ALLOW(FILES, clock_gettime, "time; of its processes and threads, too")
ALLOW(FILES, clock_getres, "time")
ALLOW(FILES, clock_nanosleep, "sleep")
ALLOW(FILES, getppid, "who am I; shells")
ALLOW(FILES, getgid, "who am I")
ALLOW(FILES, getegid, "who am I")
ALLOW(FILES, times, "what did I use; shells")

/* files: Landlock, mounts and permissions say which; these say how */
ALLOW(FILES, openat, "open")
ALLOW(FILES, open, "open, older libraries")
NOSYS(FILES, openat2, "its flags are behind a pointer; nobody needs it")
ALLOW(FILES, newfstatat, "stat")
ALLOW(FILES, stat, "stat, older libraries")
ALLOW(FILES, lstat, "stat, older libraries")
ALLOW(FILES, statx, "stat, newer libraries")
ALLOW(FILES, statfs, "room left")
ALLOW(FILES, fstatfs, "room left")
ALLOW(FILES, access, "may I")
ALLOW(FILES, faccessat, "may I")
ALLOW(FILES, faccessat2, "may I")
NOTSUP(FILES, getxattr, "there are none; ls, cp and tar ask and take this for an answer")
NOTSUP(FILES, lgetxattr, "there are none")
NOTSUP(FILES, fgetxattr, "there are none")
NOTSUP(FILES, listxattr, "there are none")
NOTSUP(FILES, llistxattr, "there are none")
NOTSUP(FILES, flistxattr, "there are none")
NOTSUP(FILES, setxattr, "none can be made; cp -p then sets the mode alone")
NOTSUP(FILES, lsetxattr, "none can be made")
NOTSUP(FILES, fsetxattr, "none can be made")
ALLOW(FILES, readlink, "links")
ALLOW(FILES, readlinkat, "links")
ALLOW(FILES, getdents64, "list a directory")
ALLOW(FILES, getcwd, "where am I")
ALLOW(FILES, chdir, "go there")
ALLOW(FILES, fchdir, "go there")
ALLOW(FILES, pread64, "read at a place; ld.so")
ALLOW(FILES, pwrite64, "write at a place")
ALLOW(FILES, truncate, "size")
ALLOW(FILES, ftruncate, "size")
ALLOW(FILES, fallocate, "size")
ALLOW(FILES, fsync, "harmless on a tmpfs; many do")
ALLOW(FILES, fdatasync, "harmless on a tmpfs; many do")
ALLOW(FILES, fadvise64, "cp, cat, sort")
ALLOW(FILES, sendfile, "copy")
ALLOW(FILES, copy_file_range, "copy")
ALLOW(FILES, mkdir, "make")
ALLOW(FILES, mkdirat, "make")
ALLOW(FILES, rmdir, "remove")
ALLOW(FILES, unlink, "remove")
ALLOW(FILES, unlinkat, "remove")
ALLOW(FILES, rename, "final names")
ALLOW(FILES, renameat, "final names")
ALLOW(FILES, renameat2, "final names")
ALLOW(FILES, link, "git, lock files")
ALLOW(FILES, linkat, "git, lock files")
ALLOW(FILES, symlink, "unpackers; never taken out")
ALLOW(FILES, symlinkat, "unpackers; never taken out")
WHEN(FILES, mknodat, "a FIFO; never taken out", MASK(2, S_IFMT, S_IFIFO))
ALLOW(FILES, umask, "modes")
WHEN(FILES, chmod, "modes, never set-user-id", MASK(1, 07000, 0))
WHEN(FILES, fchmod, "modes, never set-user-id", MASK(1, 07000, 0))
WHEN(FILES, fchmodat, "modes, never set-user-id", MASK(2, 07000, 0))
ALLOW(FILES, utimensat, "times; unpackers")
/* No locks. flock and leases work on a file that is open only for reading, and would hold up whoever
 * else uses an input; record locks take kernel memory that nothing counts. SQLite: `nolock=1`. */
WHEN(FILES, ioctl, "close-on-exec, as Python asks for it", IS(1, FIOCLEX))
WHEN(FILES, ioctl, "close-on-exec", IS(1, FIONCLEX))
WHEN(FILES, ioctl, "non-blocking", IS(1, FIONBIO))

/* processes: of the box, and limited */
ALLOW(FILES, fork, "a process")
ALLOW(FILES, vfork, "a process")
ALLOW(FILES, execve, "start a program it can see; /in, /out and /tmp are noexec")
ALLOW(FILES, wait4, "wait for a child")
ALLOW(FILES, waitid, "wait for a child")
/* signals: as in `compute`, not those that tell a limit */
WHEN(FILES, kill, "only processes of the box have a number here", UPTO(1, SIGXCPU))
WHEN(FILES, kill, "SIGVTALRM, SIGPROF", MASK(1, ~1, SIGVTALRM))
WHEN(FILES, kill, "SIGWINCH, SIGIO", MASK(1, ~1, SIGWINCH))
WHEN(FILES, kill, "real-time signals", MASK(1, ~31, 32))
WHEN(FILES, tgkill, "the same", UPTO(2, SIGXCPU))
WHEN(FILES, tgkill, "SIGVTALRM, SIGPROF", MASK(2, ~1, SIGVTALRM))
WHEN(FILES, tgkill, "SIGWINCH, SIGIO", MASK(2, ~1, SIGWINCH))
WHEN(FILES, tgkill, "real-time signals", MASK(2, ~31, 32))
WHEN(FILES, tkill, "the same; musl", UPTO(1, SIGXCPU))
WHEN(FILES, tkill, "real-time signals", MASK(1, ~31, 32))
ALLOW(FILES, pipe, "between its processes")
ALLOW(FILES, pipe2, "between its processes")
ALLOW(FILES, epoll_wait, "event loops")
WHEN(FILES, socketpair, "between its processes; reaches nothing else. socket is not here",
	IS(0, AF_UNIX))
ALLOW(FILES, setpgid, "shells")
ALLOW(FILES, getpgid, "shells")
ALLOW(FILES, getpgrp, "shells")
ALLOW(FILES, setsid, "shells")
ALLOW(FILES, getresuid, "who am I; shells")
ALLOW(FILES, getresgid, "who am I; shells")
ALLOW(FILES, getgroups, "who am I; shells")
