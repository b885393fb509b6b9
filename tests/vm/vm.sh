#!/usr/bin/env bash
# vm.sh kernel DIR | run DIR: the box in a virtual machine with cgroups of version 2, whatever this one has.
#
# `kernel` puts Debian's kernel and the few modules that are needed into DIR. `run` boots it in QEMU,
# emulated, and runs guest.sh there. The machine's root is this machine's, read-only; what it writes is lost.
# It has no network. VM_TESTS="NAME..." runs these tests and rows only, VM_SECONDS
# bounds it all, VM_OPTIONS are more options for QEMU ("-accel kvm" is faster).
set -eu
tree=$(cd "$(dirname "$0")/../.." && pwd)
what=$1 dir=$2
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p"

kernel() {
	local name
	mkdir -p "$dir"
	ls "$dir"/boot/vmlinuz-* >/dev/null 2>&1 && return
	name=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	echo "deps: unpacking $name into $dir"
	(cd "$dir" && apt-get download -qq "$name")
	# newer kernels have some of the modules built in, and compress the others
	dpkg-deb --fsys-tarfile "$dir/$name"_*.deb | tar -x -C "$dir" --wildcards './boot/vmlinuz-*' \
		$(printf './*/%s.ko* ' $modules) 2>/dev/null || true
	find "$dir" -name '*.ko.xz' -exec xz -d {} +
	rm "$dir/$name"_*.deb
}

skip() {
	echo "skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

initrd() { # FILE
	local root
	root=$(mktemp -d)
	mkdir "$root/bin" "$root/dev" "$root/root"
	cp "$(command -v busybox)" "$root/bin/busybox"
	install -m 0755 "$tree/tests/vm/init.sh" "$root/init"
	echo "$modules" >"$root/modules"
	for m in $modules; do
		find "$dir" -name "$m.ko" -exec cp {} "$root" \;
	done
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$1"
	rm -rf "$root"
}

run() {
	[ "$(uname -m)" = x86_64 ] || skip "the kernel is for x86_64"
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 (make deps-vm)"
	ls "$dir"/boot/vmlinuz-* >/dev/null 2>&1 || skip "no kernel in $dir (make deps-vm)"
	image=$(mktemp) log=$(mktemp)
	trap 'rm -f "$image" "$log"' EXIT
	initrd "$image"
	timeout "${VM_SECONDS:-5400}" qemu-system-x86_64 ${VM_OPTIONS:-} -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
		-nodefaults -no-reboot -display none -serial stdio -kernel "$dir"/boot/vmlinuz-* -initrd "$image" \
		-append "console=ttyS0 panic=-1 loglevel=1 TALKOOT_TREE=$tree VM_TESTS=${VM_TESTS// /,}" \
		-fsdev local,id=host,path=/,readonly=on,security_model=none,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host </dev/null 2>&1 | sed -u 's/\r$//; /reboot: Power down/d' |
		tee "$log" || true
	tail -n 1 "$log" | grep -Eq '^[1-9][0-9]* passed, 0 failed'
}

"$what"
