#!/bin/bash
# guest.sh: runs in the machine that vm.sh boots: the tests of the box wherever a volunteer's worker may find itself,
# with cgroups of version 2. Its last line counts.
#
#	root       root in a cgroup of a session, as systemd makes them; its tests also run as an ordinary user, who may
#	           make none there
#	delegated  an ordinary user where systemd's manager of that user puts a scope or a service: beside it may be
#	           made what we like, with the controllers cpu, memory and pids
#	service    an ordinary user in a cgroup of its own below one of root's (a service of the system with Delegate=yes):
#	           its own may be divided, and has no controllers
#	plain      an ordinary user to whom nothing was handed on
set -u
top=/sys/fs/cgroup
user=nobody
tree=/run/tree # a copy, for the checkout may lie where another user cannot reach it
bin=$tree/build/bin
passed=0 failed=0 skipped=0
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/t TMPDIR=/run/t TALKOOT_BIN=$bin PYTHONDONTWRITEBYTECODE=1
limits="its_own_exit_code_passes it_runs_idle_unless_asked stopped_time_is_no_wall_time a_keeper_makes_one_box_after_another
	a_box_that_stood_by_for_the_like_of_the_last_task_is_as_any_other a_keeper_stops_and_holds_boxes
	processes_that_wake_each_other_are_held a_held_box_dies_with_its_keeper
	who_comes_after_a_held_box_that_was_killed_is_not_held all_boxes_end_with_their_keeper_or_its_asker wall cpu
	an_idle_box_stands_last_where_sessions_share_the_processor
	an_idle_box_stands_last_where_cgroups_share_the_processor who_is_forgotten_is_counted
	nobody_is_charged_more_than_they_used memory memory_is_held_while_nobody_looks output disk processes
	a_killed_launcher_leaves_nothing it_dies_with_who_started_it_and_asked_for_that sigterm_ends_the_box_and_reports
	compute_works_without_namespaces"
attacks="resources launcher_killed"
if [ -n "${VM_TESTS:-}" ]; then
	limits=${VM_TESTS//,/ } attacks=$limits
fi

give() { # CGROUP: as Delegate=yes gives it away
	chown $user "$top/$1" "$top/$1"/cgroup.{procs,threads,subtree_control}
}

prepare() {
	mkdir -p $TMPDIR $bin
	chmod 1777 $TMPDIR
	cp -r "$TALKOOT_TREE"/{tests,packaging} $tree
	cp "$TALKOOT_TREE"/build/bin/talkoot-{sandbox,worker} $bin
	ip link set lo up
	# an emulator in an emulator shows nothing about this box
	! emulator=$(command -v qemu-x86_64-static) || mount --bind /dev/null "$emulator"
	mkdir -p $top/{root/session,delegated/scope,service,plain}
	for parent in "" root delegated; do
		echo +cpu +memory +pids >$top/$parent/cgroup.subtree_control
	done
	give delegated
	give delegated/scope
	give service
}

within() { # CGROUP USER COMMAND...
	(
		echo 0 >"$top/$1/cgroup.procs" || exit 1
		who=$2
		shift 2
		exec setpriv --reuid="$who" --regid="$(id -g "$who")" --clear-groups "$@"
	)
}

count() { # PASSED FAILED SKIPPED
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

claim() { # TEXT COMMAND...: it succeeds
	local text=$1
	shift
	if "$@" >/run/claim 2>&1; then
		count 1 0 0
	else
		count 0 1 0
		echo "FAILED: $text"
		sed 's/^/    /' /run/claim
	fi
}

suite() { # CGROUP USER TEST [NAME...]
	local where=$1 p f s
	echo "$3 in $where as $2, $(cut -d. -f1 /proc/uptime) s after the start"
	within "$where" "$2" python3 -u "$tree/tests/system/$3" "${@:4}" >/run/log 2>&1 </dev/null
	sed 's/^/    /' /run/log
	read -r p f s <<<"$(grep -E '^[0-9]+ passed, ' /run/log | tail -1 | tr -dc '0-9 ')"
	count "${p:-0}" "${f:-1}" "${s:-0}"
}

# --- claims ---

says() { # CGROUP USER PATTERN COMMAND...: the pattern is in what it says
	within "$1" "$2" "${@:4}" 2>&1 | tee /dev/stderr | grep -Eq -- "$3"
}

boxed() { # CGROUP USER PROFILE PATTERN: in the report of a box that lives long enough to be looked at
	within "$1" "$2" "$bin/talkoot-sandbox" --profile "$3" --report $TMPDIR/report -- /bin/busybox sleep 2
	cat $TMPDIR/report
	grep -Eq -- "$4" $TMPDIR/report && rm $TMPDIR/report
}

nothing_left() { # neither processes nor folders
	for _ in $(seq 1000); do
		[ -z "$(find $top -name 'talkoot-*')" ] && ! grep -q 'populated 1' $top/{root,delegated,service,plain}/cgroup.events &&
			return 0
		sleep 0.05
	done
	find $top -name 'talkoot-*'
	grep . $top/{root,delegated,service,plain}/cgroup.events
	return 1
}

granted() { # CGROUP USER
	claim "$1: check says that a cgroup is granted" says "$1" "$2" 'cgroup +ok' "$bin/talkoot-worker" check
	for profile in compute files; do
		claim "$1: a box of $profile is in a cgroup" boxed "$1" "$2" $profile '"cgroup"'
	done
}

not_granted() {
	claim "$1: check says that none is granted" says "$1" "$2" 'cgroup +not granted' "$bin/talkoot-worker" check
	claim "$1: a box does without" boxed "$1" "$2" files '"rlimits"\]'
}

settings_forbid() { # user namespaces, to ordinary users
	echo 0 >/proc/sys/kernel/unprivileged_userns_clone
	claim "without user namespaces: files names what mends it" says plain $user 'kernel.unprivileged_userns_clone=1' \
		"$bin/talkoot-worker" check
	claim "without user namespaces: files is refused" says plain $user 'layer userns .*talkoot-worker check' \
		"$bin/talkoot-sandbox" --profile files -- /bin/busybox true
	claim "without user namespaces: compute works" within plain $user "$bin/talkoot-sandbox" -- /bin/busybox true
	claim "without user namespaces: compute has a cgroup" boxed delegated/scope $user compute '"cgroup"'
	echo 1 >/proc/sys/kernel/unprivileged_userns_clone
}

under_profile() { # a launcher does run so
	local found=1
	within delegated/scope $user "$bin/talkoot-sandbox" --profile files -- /bin/busybox sleep 5 &
	for _ in $(seq 200); do
		grep -s '^talkoot-sandbox ' /proc/[0-9]*/attr/current && found=0 && break
		sleep 0.05
	done
	wait $! && return $found
}

with_apparmor() {
	if [ ! -e /etc/apparmor.d/abi/4.0 ]; then
		count 0 0 1
		echo "skipped: AppArmor: no parser here knows abi 4.0, as the profile needs"
		return
	fi
	sed "s|@BINDIR@|$bin|" $tree/packaging/apparmor/talkoot-sandbox >/run/profile
	claim "AppArmor: the profile is loaded" apparmor_parser -K -r /run/profile
	claim "AppArmor: a box runs under it" under_profile
	claim "AppArmor: files works under it" boxed delegated/scope $user files '"cgroup"'
}

prepare
granted root/session root
granted delegated/scope $user
not_granted service $user
not_granted plain $user
suite root/session root test_sandbox.py $limits
suite delegated/scope $user test_sandbox.py $limits
suite service $user test_sandbox.py $limits
suite root/session root test_escape.py $attacks
suite delegated/scope $user test_escape.py $attacks
settings_forbid
with_apparmor
claim "nothing is left" nothing_left
echo "$passed passed, $failed failed, $skipped skipped"
/bin/busybox poweroff -f
