#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_local.py: data of a volunteer's own: who gets to read it, how often, and what else a box that reads it reaches."""
import csv
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import grid as g

PROBE = r"""
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
static void try_open(const char *path, int how)
{
	char text[64] = "";
	int fd = open(path, how, 0600);
	ssize_t n = fd >= 0 && (how & O_ACCMODE) == O_RDONLY ? read(fd, text, sizeof(text) - 1) : 0;
	if (n > 0 && text[n - 1] == '\n') text[n - 1] = 0;
	printf("%s %s: %s\n", (how & O_ACCMODE) == O_RDONLY ? "read" : "write", path, fd < 0 ? strerror(errno) : text);
}
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *p = argv[i] + 2;
		switch (argv[i][0]) {
		case 'r': try_open(p, O_RDONLY | O_NONBLOCK); break;
		case 'w': try_open(p, O_WRONLY | O_NONBLOCK); break;
		case 'n': try_open(p, O_WRONLY | O_CREAT | O_EXCL); break;
		case 'u': printf("unlink %s: %s\n", p, unlink(p) ? strerror(errno) : "done"); break;
		case 'c': printf("chmod %s: %s\n", p, chmod(p, 0777) ? strerror(errno) : "done"); break;
		case 'l': {
			DIR *d = opendir(p);
			int n = 0;
			for (struct dirent *e; d && (e = readdir(d));) n++;
			printf("list %s: %s %d\n", p, d ? "entries" : strerror(errno), n);
			break;
		}
		}
	}
	return 0;
}
"""
TMP = tempfile.mkdtemp(prefix="talkoot-local-")
os.chmod(TMP, 0o755)
TOOL = g.compile_static(PROBE, os.path.join(TMP, "probe"))


def put(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def a_folder(name):
    """Data, and what could lead out of it."""
    top = os.path.join(TMP, name)
    os.makedirs(os.path.join(top, "data", "deep"))
    put(os.path.join(top, "secret"), "SECRET\n")
    put(os.path.join(top, "data", "rows"), "rows\n")
    put(os.path.join(top, "data", "deep", "more"), "more\n")
    for link, to in (("up", "../secret"), ("abs", top + "/secret"), ("etc", "/etc/hostname"), ("self", "/proc/self/environ"),
                     ("in", "rows"), ("far", "../../../../../../../../../../etc/hostname")):
        os.symlink(to, os.path.join(top, "data", link))
    return top


def box(folder, *tries, code=0, prefix=()):
    argv = list(prefix) + [g.program("talkoot-sandbox"), "--profile", "files", "--wall", "10", "--in", "d=" + folder, "--out",
                           tempfile.mkdtemp(dir=TMP), "--", TOOL] + list(tries)
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
    assert p.returncode == code, (p.returncode, p.stdout, p.stderr)
    return p.stdout.decode(), p.stderr.decode()


def test_a_folder_is_read_and_nothing_else():
    top = a_folder("plain")
    said, _ = box(top + "/data", "r:/in/d/rows", "r:/in/d/deep/more", "r:/in/d/in", "l:/in/d")
    assert said == "read /in/d/rows: rows\nread /in/d/deep/more: more\nread /in/d/in: rows\nlist /in/d: entries 10\n", said
    ways = ["/in/d/up", "/in/d/abs", "/in/d/etc", "/in/d/self", "/in/d/far", "/in/d/../secret", "/in/d/../../secret"]
    said, _ = box(top + "/data", *("r:" + w for w in ways))
    assert [line.split(": ")[1] for line in said.splitlines()] == ["No such file or directory"] * len(ways), said


def test_a_folder_is_not_written():
    top = a_folder("write")
    before = sorted(os.listdir(top + "/data"))
    said, _ = box(top + "/data", "w:/in/d/rows", "n:/in/d/new", "u:/in/d/rows", "c:/in/d/rows", "c:/in/d")
    assert all(line.split(": ")[1] in ("Read-only file system", "Permission denied", "Operation not permitted")
               for line in said.splitlines()), said
    assert sorted(os.listdir(top + "/data")) == before and open(top + "/data/rows").read() == "rows\n"
    assert os.stat(top + "/data/rows").st_mode & 0o777 == 0o644


def test_devices_and_fifos_in_a_folder():
    top = a_folder("kinds")
    os.mkfifo(top + "/data/fifo", 0o666)
    os.chmod(top + "/data/fifo", 0o666)
    tries = ["w:/in/d/fifo"]
    if os.geteuid() == 0:
        os.mknod(top + "/data/null", 0o666 | 0o020000, os.makedev(1, 3))
        os.chmod(top + "/data/null", 0o666)
        tries += ["r:/in/d/null", "w:/in/d/null"]
    else:
        print("     no device made: that needs root")
    reader = os.open(top + "/data/fifo", os.O_RDONLY | os.O_NONBLOCK)  # somebody who would hear
    said, _ = box(top + "/data", *tries)
    os.close(reader)
    assert [line.split(": ")[1] for line in said.splitlines()] == ["Permission denied"] * len(tries), said


def test_what_is_mounted_in_a_folder_is_not_shown():
    if os.geteuid() != 0:
        raise g.Skip("mounting needs root")
    top = a_folder("mounts")
    os.mkdir(top + "/data/below")
    put(top + "/data/below/under", "under\n")
    script = "mount -t tmpfs none %s/data/below && echo MOUNTED >%s/data/below/canary && exec \"$@\"" % (top, top)
    prefix = ["unshare", "-m", "sh", "-c", script, "sh"]
    argv = prefix + [g.program("talkoot-sandbox"), "--profile", "files", "--in", "d=" + top + "/data", "--out",
                     tempfile.mkdtemp(dir=TMP), "--", TOOL, "r:/in/d/rows", "r:/in/d/below/canary"]
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
    assert b"MOUNTED" not in p.stdout, p.stdout
    assert p.returncode == 125 or b"rows" in p.stdout, (p.returncode, p.stdout, p.stderr)
    if p.returncode == 125:
        assert b"--in: showing /in/d" in p.stderr, p.stderr


# --- the worker's options

def refused(t, text, *args):
    argv = [g.program("talkoot-worker"), "--data", t.path("refused"), "--join", t.link, "--listen", "none"] + list(args)
    g.run(argv, t.env, code=2)
    assert text in g.run.stderr, g.run.stderr


def test_options_that_are_refused():
    top = a_folder("options")
    key = "ab" * 32
    with g.Grid() as t:
        refused(t, "whose programs may read it?", "--allow-local", "d=" + top + "/data")
        refused(t, "which data?", "--local-for", key)
        refused(t, "is no submitter's key", "--allow-local", "d=" + top + "/data", "--local-for", "me")
        refused(t, "is not NAME=PATH", "--allow-local", "../d=" + top, "--local-for", key)
        refused(t, "d is there twice", "--allow-local", "d=" + top + "/data", "--allow-local", "d=" + top + "/secret")
        refused(t, "own folder", "--allow-local", "d=" + t.dir, "--local-for", key)
        refused(t, "own folder", "--allow-local", "d=/", "--local-for", key)
        refused(t, "own folder", "--allow-local", "d=" + t.path("refused"), "--local-for", key)
        os.mkfifo(top + "/data/deep/fifo")
        refused(t, "fifo is neither a file nor a folder nor a link", "--allow-local", "d=" + top + "/data", "--local-for", key)
        os.unlink(top + "/data/deep/fifo")
        s = socket.socket(socket.AF_UNIX)
        s.bind(top + "/data/sock")
        refused(t, "sock is neither", "--allow-local", "d=" + top + "/data", "--local-for", key)
        s.close()


# --- who gets a task

def test_one_task_a_worker_and_the_rest_wait():
    top = a_folder("holders")
    with g.Grid(workers=1) as t:
        key = t.cli("id").strip().split()[-1]
        own = ["--allow-local", "d=" + top + "/data", "--local-for", key]
        job = t.submit("--range", "3", "--local", "d", "--", TOOL, "r:/in/d/rows", "r:/in/d/up")
        assert t.job(job)["waiting"].startswith("3 tasks need another worker that has the data d"), t.job(job)
        t.add_worker(args=own, slots=4)
        g.wait_for("one task", lambda: t.job(job)["tasks"]["valid"] == 1)
        t.coordinator.kill()
        t.start_coordinator()
        t.add_worker(args=own, slots=4)
        g.wait_for("two tasks", lambda: t.job(job)["tasks"]["valid"] == 2)
        assert t.job(job)["waiting"].startswith("1 task needs another worker that has the data d"), t.job(job)
        assert "waiting: 1 task needs" in t.cli("status", job)
        t.add_worker(args=own)
        assert t.wait_done(job)["state"] == "done"
        out = t.results(job)
        lines = g.lines_of(out + "/results.ndjson")
        assert len({x["workers"][0] for x in lines}) == 3 and t.workers[0].id not in {x["workers"][0] for x in lines}
        for i in range(3):
            assert open("%s/%d/stdout" % (out, i)).read() == "read /in/d/rows: rows\nread /in/d/up: No such file or directory\n"
        for say in (["jobs"], ["status", job], ["status", job, "--task", "0"]):
            assert "one worker's word" in t.cli(*say), (say, t.cli(*say))
        table = list(csv.DictReader(io.StringIO(t.cli("results", job, "--format", "csv"), newline="")))
        assert [row["local"] for row in table] == ['["d"]'] * 3, table
        said = t.verify(out)
        assert "3 tasks rest on one worker's word: its data is local" in said, said
        assert json.loads(t.verify(out, "--json"))["one_word"] == 3
        t.verify(out, "--rerun", "1", code=1)
        assert "the data d is with the workers" in g.run.stderr, g.run.stderr


def test_a_file_and_only_for_the_submitter_named():
    top = a_folder("keys")
    with g.Grid() as t:
        t.add_worker(args=["--allow-local", "d=" + top + "/data/rows", "--allow-local", "e=" + top + "/secret", "--local-for",
                           "cd" * 32])
        job = t.submit("--local", "d", "--", TOOL, "r:/in/d")
        plain = t.submit("--quorum", "1", "--", TOOL)
        assert t.wait_done(plain)["state"] == "done"
        assert t.job(job)["tasks"]["pending"] == 1 and "lets its submitter read it" in t.job(job)["waiting"]
        key = t.cli("id").strip().split()[-1]
        t.add_worker(args=["--allow-local", "d=" + top + "/data/rows", "--local-for", key])
        assert t.wait_done(job)["state"] == "done"
        assert open(t.results(job) + "/0/stdout").read() == "read /in/d: rows\n"
        t.cli("submit", "--quorum", "2", "--local", "d", "--", TOOL, code=2)
        assert "must be quorum:1" in g.run.stderr, g.run.stderr
        t.cli("submit", "--try", "--local", "d", "--", TOOL, code=2)
        assert "is with the volunteers" in g.run.stderr, g.run.stderr


if __name__ == "__main__":
    try:
        g.main(globals())
    finally:
        shutil.rmtree(TMP, ignore_errors=True)
