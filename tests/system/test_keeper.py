# SPDX-License-Identifier: Apache-2.0
"""The worker's keepers of boxes: how many there are, what they have, how they end, and what is left when they or
the worker are killed."""
import errno
import hashlib
import os
import re
import shutil
import signal

from grid import Grid, Skip, compile_static, lines_of, main, program, run, wait_for
from test_faults import boxes_of, family, left_of, processes, sleeper

COPY = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	FILE *in = fopen("/in/data", "r"), *out = fopen("/out/copy", "w");
	int c;

	if (argc != 2 || !in || !out)
		return 1;
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fprintf(out, "%s\n", argv[1]);
	puts("done");
	return fclose(out) ? 1 : 0;
}
"""


def keepers_of(w):
    """pid -> profile."""
    words = {pid: p[3].split(b"\0") for pid, p in processes().items() if p[0] == w.pid}
    return {pid: line[3].decode() for pid, line in words.items()
            if line[0].endswith(b"talkoot-sandbox") and line[1:3] == [b"--serve", b"--profile"]}


class Launchers:
    """Every child of a worker that was ever seen executing talkoot-sandbox: sampled while something is awaited."""

    def __init__(self, w):
        self.w, self.seen, self.most = w, {}, 0

    def look(self):
        now = {pid: p[3] for pid, p in processes().items()
               if p[0] == self.w.pid and os.path.basename(p[3].split(b"\0")[0]) == b"talkoot-sandbox"}
        self.seen.update(now)
        self.most = max(self.most, len(now))


def input_file(g):
    with open(g.path("input.txt"), "w") as f:
        f.write("some input\n" * 100)
    return "data=" + g.path("input.txt")


def submit_files(g, count):
    exe = g.path("copy")
    if not os.path.exists(exe):
        compile_static(COPY, exe)
    return g.submit("--range", str(count), "--quorum", "1", "--file", input_file(g), "--outputs", "copy", "--profile", "files",
                    "--", exe, "{index}")


def check_copies(g, job, count):
    out = g.results(job, "out-" + job[:8])
    g.verify(out)
    for i in range(count):
        with open(os.path.join(out, str(i), "files", "copy")) as f:
            assert f.read() == "some input\n" * 100 + "%d\n" % i, i
        with open(os.path.join(out, str(i), "stdout")) as f:
            assert f.read() == "done\n", i


def check_sleepers(g, job, count):
    out = g.results(job, "out-" + job[:8])
    g.verify(out)
    for line in lines_of(os.path.join(out, "results.ndjson")):
        assert line["state"] == "valid" and line["exit"] == 0, line
    for i in range(count):
        with open(os.path.join(out, str(i), "stdout")) as f:
            assert f.read() == "task %d\n" % i, i


def one_keeper(w, profile="compute"):
    return wait_for("a keeper", lambda: [pid for pid, p in keepers_of(w).items() if p == profile])[0]


def test_fifty_tasks_by_one_keeper_a_profile_and_no_other_launcher():
    with Grid(workers=1, slots=2) as g:
        w = g.workers[0]
        assert not keepers_of(w), "none before there is a task"
        seen = Launchers(w)
        jobs = [g.submit("--range", "25", "--quorum", "1", "--", sleeper(g), "{index}", "20"), submit_files(g, 25)]

        def done():
            seen.look()
            return all(g.job(j)["state"] != "active" for j in jobs)

        wait_for("both jobs", done)
        assert seen.most <= 2 and len(seen.seen) == 2, seen.seen
        assert sorted(keepers_of(w).values()) == ["compute", "files"], keepers_of(w)
        assert set(seen.seen) == set(keepers_of(w)), "the same from the first to the last"
        check_sleepers(g, jobs[0], 25)
        check_copies(g, jobs[1], 25)


BOX_WITHOUT_FILES = """#!/bin/sh
[ "$1" = --check ] && { echo '{"compute":true,"files":false,"layers":{}}'; exit; }
exec "%s" "$@"
"""


def add_worker_with_box(g, text, **options):
    """Beside it, under the built-in box's name, lies this script."""
    os.mkdir(g.path("bin"))
    shutil.copy(program("talkoot-worker"), g.path("bin"))
    with open(g.path("bin", "talkoot-sandbox"), "w") as f:
        f.write(text)
    os.chmod(g.path("bin", "talkoot-sandbox"), 0o755)
    return g.add_worker(exe=g.path("bin", "talkoot-worker"), **options)


def test_no_files_keeper_where_only_compute_works():
    with Grid() as g:
        files = submit_files(g, 2)  # while no worker is known: later it would be refused
        w = add_worker_with_box(g, BOX_WITHOUT_FILES % program("talkoot-sandbox"))
        seen = Launchers(w)
        job = g.submit("--range", "4", "--quorum", "1", "--", sleeper(g), "{index}", "20")

        def done():
            seen.look()
            return g.job(job)["state"] != "active"

        wait_for("the job", done)
        assert g.job(job)["tasks"]["valid"] == 4 and g.job(files)["tasks"]["pending"] == 2
        assert list(keepers_of(w).values()) == ["compute"], keepers_of(w)
        assert not any(b"files" in line for line in seen.seen.values()), seen.seen


def open_files(pid):
    found = {}
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            pass  # closed meanwhile
    return found


def inodes_of(pid):
    """Of the sockets and pipes that a process has."""
    return {m.group(0) for m in (re.match(r"(socket|pipe):\[\d+\]", f) for f in open_files(pid).values()) if m}


def test_a_keeper_has_nothing_of_the_worker():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "1")
        g.wait_done(job)
        theirs = inodes_of(w.pid)
        keeper = one_keeper(w)
        with open("/proc/%d/environ" % keeper, "rb") as f:
            assert f.read() == b"", "no environment"
        files = open_files(keeper)
        assert files[0] == files[1] == "/dev/null", files
        for fd, what in files.items():
            assert re.match(r"(/dev/null|/proc|/sys/fs/cgroup/.*|(socket|pipe):\[\d+\]|anon_inode:.*|"
                            r"/memfd:.*|net:\[\d+\]|user:\[\d+\]|/|"
                            # of the last task's program it may keep hold, for the next is often the same
                            + re.escape(g.path("w0", "tasks")) + r"/\w+/program/sleeper( \(deleted\))?)$", what), (fd, what)
        assert inodes_of(keeper) & theirs == {files[2]}, "but the pipe for its complaints"


def policy_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[38])


def test_boxes_run_at_idle_priority_and_their_keeper_does_not():
    with Grid(workers=1) as g:
        g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        box = wait_for("a box", lambda: boxes_of(g))[0]
        assert policy_of(box) == 5, "SCHED_IDLE"
        assert policy_of(one_keeper(g.workers[0])) == policy_of(os.getpid())


def test_a_killed_keeper_is_replaced_and_its_tasks_are_done_in_the_end():
    with Grid(workers=2, slots=2) as g:  # a task is not given to the same worker twice
        w = g.workers[0]
        job = g.submit("--range", "100", "--quorum", "1", "--", sleeper(g), "{index}", "300")
        for _ in range(3):
            keeper = one_keeper(w)
            wait_for("a box of it", lambda: {pid for pid, _ in family(keeper)} & set(boxes_of(g)))
            those = family(keeper)
            os.kill(keeper, signal.SIGKILL)
            wait_for("its boxes to be gone", lambda: not left_of(those))
            wait_for("a new one", lambda: keepers_of(w) and keeper not in keepers_of(w))
        assert g.wait_done(job)["tasks"]["valid"] == 100
        check_sleepers(g, job, 100)
        with open(g.path("w0.log")) as f:
            assert "the keeper of profile compute was killed by signal 9" in f.read()


def test_a_keeper_that_does_not_answer_is_replaced():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("a box", lambda: boxes_of(g))
        keeper = one_keeper(w)
        os.kill(keeper, signal.SIGSTOP)
        g.cli("cancel", job)
        wait_for("the worker's patience to end", lambda: keeper not in keepers_of(w), 60)
        wait_for("no box to be left", lambda: not boxes_of(g))
        job = g.submit("--range", "3", "--quorum", "1", "--", sleeper(g), "{index}", "1")
        assert g.wait_done(job)["tasks"]["valid"] == 3


def test_a_cancelled_task_is_killed_and_its_keeper_lives_on():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("a box", lambda: boxes_of(g))
        keeper = one_keeper(w)
        g.cli("cancel", job)
        wait_for("no box to be left", lambda: not boxes_of(g))
        wait_for("its folder to be gone", lambda: not os.listdir(g.path("w0", "tasks")))
        job = g.submit("--range", "3", "--quorum", "1", "--", sleeper(g), "{index}", "1")
        assert g.wait_done(job)["tasks"]["valid"] == 3
        assert list(keepers_of(w)) == [keeper]


def cgroups_of(pids):
    """What folders for boxes those keepers have, in any hierarchy."""
    names = re.compile(r"talkoot-(%s)\b" % "|".join(str(pid) for pid in pids))
    return [os.path.join(at, d) for at, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs if names.match(d)]


def test_kill_9_of_the_worker_leaves_nothing():
    with Grid(workers=1, slots=3) as g:
        w = g.workers[0]
        jobs = [g.submit("--range", "2", "--quorum", "1", "--profile", profile, *more, "--", sleeper(g), "{index}", "0", "600")
                for profile, more in (("compute", ()), ("files", ("--file", input_file(g))))]
        wait_for("boxes of both", lambda: len(boxes_of(g)) == 3)
        keepers = list(keepers_of(w))
        assert len(keepers) == 2
        those = family(w.pid)
        print("     %d cgroups of boxes are there%s" % (len(cgroups_of(keepers)), "" if cgroups_of(keepers) else ": none is granted here"))
        w.kill()
        wait_for("no process to be left", lambda: not left_of(those), 20)
        wait_for("no cgroup to be left", lambda: not cgroups_of(keepers), 20)
        with open("/proc/self/mountinfo") as f:
            assert g.dir not in f.read()
        for job in jobs:
            g.cli("cancel", job)


def test_sigterm_of_the_worker_leaves_nothing_either():
    with Grid(workers=1, slots=2) as g:
        w = g.workers[0]
        g.submit("--range", "2", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("boxes", lambda: len(boxes_of(g)) == 2)
        keepers, those = list(keepers_of(w)), family(w.pid)
        assert w.stop(10) == 0
        wait_for("no process to be left", lambda: not left_of(those), 10)
        assert not cgroups_of(keepers)
        assert not os.listdir(g.path("w0", "tasks"))


CONTRACT = {"profile", "root", "in", "out", "stdin", "stdout", "stderr", "cpu", "wall", "memory", "disk", "max-output",
            "processes", "threads", "deterministic", "report"}


def test_another_sandbox_is_run_once_a_task_with_the_contracts_words():
    with Grid() as g:
        wrapper = g.path("wrapper.sh")
        with open(wrapper, "w") as f:
            f.write('#!/bin/sh\n[ "$1" = --check ] || printf \'%%s\\n\' "$*" >>"%s"\nexec "%s" "$@"\n'
                    % (g.path("lines"), program("talkoot-sandbox")))
        os.chmod(wrapper, 0o755)
        w = g.add_worker(args=("--sandbox", wrapper))
        seen = Launchers(w)
        jobs = [g.submit("--range", "5", "--quorum", "1", "--", sleeper(g), "{index}", "20"), submit_files(g, 5)]

        def done():
            seen.look()
            return all(g.job(j)["state"] != "active" for j in jobs)

        wait_for("both jobs", done)
        check_sleepers(g, jobs[0], 5)
        check_copies(g, jobs[1], 5)
        assert not any(b"--serve" in line for line in seen.seen.values()), seen.seen
        with open(g.path("lines")) as f:
            lines = f.read().splitlines()
        assert len(lines) == 10, lines
        for line in lines:
            words = line.split(" -- ")[0].split()
            assert {w[2:] for w in words[::2]} <= CONTRACT and all(w.startswith("--") for w in words[::2]), line


NO_KEEPER = """#!/bin/sh
[ "$1" = --check ] && { echo '{"compute":true,"files":false,"layers":{}}'; exit; }
echo "talkoot-sandbox: no box at all today" >&2
exit 125
"""


def test_why_a_keeper_cannot_start_is_said_in_words():
    with Grid() as g:
        w = add_worker_with_box(g, NO_KEEPER)
        job = g.submit("--range", "20", "--quorum", "1", "--max-results", "4", "--", sleeper(g), "{index}", "1")
        wait_for("the reason in status", lambda: "no box at all today" in g.worker_status(w)["why"])
        said = "the keeper of profile compute ended with exit 125: talkoot-sandbox: no box at all today"
        assert said in g.worker_status(w)["why"]
        with open(g.path("w0.log")) as f:
            assert said in f.read()
        g.cli("cancel", job)


def test_why_a_kept_box_could_not_be_set_up_reaches_the_log_and_the_result():
    with Grid(workers=1) as g:
        first = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "1")
        g.wait_done(first)
        with open(sleeper(g), "rb") as f:
            name = hashlib.sha256(f.read()).hexdigest()
        blob = [os.path.join(at, n) for at, _, names in os.walk(g.path("w0", "blobs", "sha256")) for n in names if n == name]
        assert len(blob) == 1, blob
        os.chmod(blob[0], 0o755)
        with open(blob[0], "r+b"):  # who writes to a program keeps it from being executed
            try:
                run([blob[0], "0", "0"])
                raise Skip("this kernel executes what is being written")
            except OSError as why:
                assert why.errno == errno.ETXTBSY, why
            job = g.submit("--range", "1", "--quorum", "1", "--max-results", "1", "--", sleeper(g), "{index}", "1")
            g.wait_done(job)
        assert g.job(job)["tasks"]["failed"] == 1
        with open(g.path("w0.log")) as f:
            assert re.search(r"the box could not be set up: .*sleeper.*Text file busy", f.read())
        assert "Text file busy" in g.cli("status", job, "--task", "0")


if __name__ == "__main__":
    main(globals())
