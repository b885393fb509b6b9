#!/bin/busybox sh
# init.sh: the machine's first program: its root is that of the machine it runs on, read-only; then guest.sh.
b=/bin/busybox
$b mount -t devtmpfs none /dev
for m in $($b cat /modules); do
	[ ! -e "/$m.ko" ] || $b insmod "/$m.ko"
done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /root || $b poweroff -f
$b mount -t devtmpfs none /root/dev
$b ln -s /proc/self/fd /root/dev/fd
$b ln -s /proc/self/fd/1 /root/dev/stdout
$b ln -s /proc/self/fd/2 /root/dev/stderr
$b mkdir -p /root/dev/shm /root/dev/pts
$b mount -t tmpfs none /root/dev/shm
$b mount -t devpts none /root/dev/pts
$b mount -t proc none /root/proc
$b mount -t sysfs none /root/sys
$b mount -t securityfs none /root/sys/kernel/security
$b mount -t cgroup2 none /root/sys/fs/cgroup
$b mount -t tmpfs -o mode=755 none /root/run
exec $b switch_root /root /bin/bash "$TALKOOT_TREE/tests/vm/guest.sh"
