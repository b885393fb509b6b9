/* SPDX-License-Identifier: Apache-2.0
 *
 * policy.h: the system calls a boxed program may make, one a line, with the reason.
 *
 * CALL: allowed as it is. What needs a look at its arguments stands in filter.c (clone, mmap, mprotect,
 * prctl, ioctl, fcntl, prlimit64, kill, tgkill, socketpair). Everything else gets EPERM, and
 * clone3 ENOSYS so that libc falls back to clone. B is both profiles, F only files.
 */
#define POLICY(B, F)                                                                               \
	B(read)              /* standard input */                                                  \
	B(write)             /* standard output */                                                 \
	B(readv)             /* the same, scattered */                                             \
	B(writev)            /* musl's stdio */                                                    \
	B(lseek)             /* standard input may be a file */                                    \
	B(pread64)           /* likewise */                                                        \
	B(close)             /* of what it has */                                                  \
	B(fstat)             /* stdio asks what standard output is */                              \
	B(newfstatat)        /* glibc's fstat; opens nothing */                                    \
	B(exit)              /* of a thread */                                                     \
	B(exit_group)        /* of the program */                                                  \
	B(execveat)          /* the launcher starts the program by its descriptor */               \
	B(brk)               /* malloc */                                                          \
	B(munmap)            /* malloc */                                                          \
	B(mremap)            /* realloc; keeps the protection */                                   \
	B(madvise)           /* malloc gives back */                                               \
	B(arch_prctl)        /* thread pointer at start */                                         \
	B(set_tid_address)   /* libc's start */                                                    \
	B(set_robust_list)   /* libc's start */                                                    \
	B(rseq)              /* glibc's start */                                                   \
	B(futex)             /* threads wait */                                                    \
	B(sched_yield)       /* threads spin politely */                                           \
	B(sched_getaffinity) /* how many CPUs: OpenMP, Go */                                       \
	B(gettid)            /* raise, Go */                                                       \
	B(getpid)            /* raise */                                                           \
	B(rt_sigaction)      /* abort, Go, Rust */                                                 \
	B(rt_sigprocmask)    /* abort, threads */                                                  \
	B(rt_sigreturn)      /* end of a handler */                                                \
	B(sigaltstack)       /* Go, Rust */                                                        \
	B(nanosleep)         /* waits */                                                           \
	B(clock_nanosleep)   /* waits */                                                           \
	B(clock_gettime)     /* where the vDSO cannot */                                           \
	B(clock_getres)      /* Go, Java */                                                        \
	B(gettimeofday)      /* where the vDSO cannot */                                           \
	B(time)              /* old programs */                                                    \
	B(times)             /* clock() of old programs */                                         \
	B(getrusage)         /* programs that report their own cost */                             \
	B(getrandom)         /* hash seeds */                                                      \
	B(poll)              /* Rust's start looks at descriptors 0 to 2 */                        \
	B(ppoll)             /* the same elsewhere */                                              \
	B(pause)             /* waits */                                                           \
	B(restart_syscall)   /* after SIGSTOP and SIGCONT */                                       \
	B(uname)             /* static glibc's start of old; fixed by the UTS namespace */         \
	B(getuid)            /* libc, as 1000 */                                                   \
	B(geteuid)                                                                                 \
	B(getgid)                                                                                  \
	B(getegid)                                                                                 \
	B(readlink)          /* glibc's static start asks /proc/self/exe; there is no /proc */     \
	F(open)              /* below the box's own root: Landlock and mounts bound it */          \
	F(openat)                                                                                  \
	F(openat2)                                                                                 \
	F(creat)                                                                                   \
	F(stat)                                                                                    \
	F(lstat)                                                                                   \
	F(statx)                                                                                   \
	F(access)                                                                                  \
	F(faccessat)                                                                               \
	F(faccessat2)                                                                              \
	F(readlinkat)                                                                              \
	F(getcwd)                                                                                  \
	F(chdir)                                                                                   \
	F(fchdir)                                                                                  \
	F(getdents64)        /* folders */                                                         \
	F(statfs)            /* how much room */                                                   \
	F(fstatfs)                                                                                 \
	F(mkdir)             /* below /out and /tmp */                                             \
	F(mkdirat)                                                                                 \
	F(rmdir)                                                                                   \
	F(unlink)                                                                                  \
	F(unlinkat)                                                                                \
	F(rename)                                                                                  \
	F(renameat)                                                                                \
	F(renameat2)                                                                               \
	F(link)                                                                                    \
	F(linkat)                                                                                  \
	F(symlink)           /* may be made, is never collected */                                 \
	F(symlinkat)                                                                               \
	F(ftruncate)                                                                               \
	F(truncate)                                                                                \
	F(fallocate)         /* bounded by the tmpfs */                                            \
	F(fsync)                                                                                   \
	F(fdatasync)                                                                               \
	F(umask)                                                                                   \
	F(utimensat)         /* cp -p, make */                                                     \
	F(pwrite64)                                                                                \
	F(preadv)                                                                                  \
	F(pwritev)                                                                                 \
	F(sendfile)          /* cp, cat */                                                         \
	F(copy_file_range)                                                                         \
	F(fadvise64)                                                                               \
	F(msync)                                                                                   \
	F(pipe)              /* shells, Python's subprocess */                                     \
	F(pipe2)                                                                                   \
	F(dup)                                                                                     \
	F(dup2)                                                                                    \
	F(dup3)                                                                                    \
	F(select)                                                                                  \
	F(pselect6)                                                                                \
	F(epoll_create1)                                                                           \
	F(epoll_ctl)                                                                               \
	F(epoll_wait)                                                                              \
	F(epoll_pwait)                                                                             \
	F(eventfd2)                                                                                \
	F(vfork)             /* posix_spawn of old; bounded by processes */                        \
	F(fork)                                                                                    \
	F(execve)            /* below the box's root, but not from /out or /tmp */                 \
	F(wait4)                                                                                   \
	F(waitid)                                                                                  \
	F(getppid)                                                                                 \
	F(getpgrp)                                                                                 \
	F(getpgid)                                                                                 \
	F(setpgid)           /* shells */                                                          \
	F(getsid)                                                                                  \
	F(getgroups)                                                                               \
	F(getresuid)                                                                               \
	F(getresgid)                                                                               \
	F(rt_sigtimedwait)   /* POV-Ray */                                                         \
	F(rt_sigsuspend)     /* shells */                                                          \
	F(rt_sigpending)                                                                           \
	F(setitimer)         /* programs that profile themselves */                                \
	F(getitimer)                                                                               \
	F(alarm)                                                                                   \
	F(getcpu)                                                                                  \
	F(sysinfo)           /* numpy, hwloc ask how much memory */                                \
	F(mincore)                                                                                 \
	F(membarrier)        /* language runtimes */                                               \
	F(getpriority)                                                                             \
	F(capget)            /* coreutils */
