#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_image_job.py: jobs whose program comes with its root file system.

The images are made here: some of this machine's dynamic programs with their libraries, scripts, and one C program that
tries what a box refuses; as a plain tar and as an OCI image layout (test_image.py has what docker and podman save write).
"""
import glob
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import tarfile

import grid
from grid import Skip, wait_for

TRIES = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const char *what, int rc)
{
	if (rc >= 0)
		puts("BROKE");
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
}

int main(int argc, char **argv)
{
	say("socket", socket(AF_INET, SOCK_STREAM, 0));
	say("writing here", open("result.txt", O_WRONLY | O_CREAT, 0600));
	say("writing /work", open("/work/result.txt", O_WRONLY | O_CREAT, 0600));
	say("home of the volunteer", open(argv[1], O_RDONLY));
	say("passwd", open("/passwd", O_RDONLY));
	if (argc > 2)
		return 0;
	FILE *f = fopen("/out/result.txt", "w");
	fprintf(f, "but this is written\n");
	return fclose(f);
}
"""


def libraries(path):
    return re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout)


def put(root, path, to):
    """A program of this machine, and what it is linked with."""
    for source, at in [(os.path.realpath(path), to)] + [(l, l) for l in libraries(path)]:
        os.makedirs(os.path.dirname(root + at), exist_ok=True)
        if not os.path.exists(root + at):
            shutil.copy(source, root + at)
            os.chmod(root + at, 0o755)


def make_root(root):
    for name in "sh", "cat", "sort":
        put(root, shutil.which(name), "/bin/" + name)
    with open(root + ".c", "w") as f:
        f.write(TRIES)
    grid.run(["gcc", "-O1", "-o", root + ".tries", root + ".c"])
    put(root, root + ".tries", "/bin/tries")
    os.makedirs(root + "/work")
    with open(root + "/work/letters", "w") as f:
        f.write("c\nb\na\n")
    with open(root + "/run.sh", "w") as f:
        f.write("#!/bin/sh\necho task $1 of $0 in $PWD with $GREETING\nsort /work/letters | cat\ncat >/out/copy\n")
    os.chmod(root + "/run.sh", 0o755)
    os.symlink("/etc/passwd", root + "/passwd")
    return root


def tar_of(root, compress=False):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w") as t:
        t.add(root, "./")
    return gzip.compress(b.getvalue(), 1) if compress else b.getvalue()


def tar_with(members):
    """[(name, bytes or a link's target)]"""
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w") as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                t.addfile(info)
            else:
                info.size, info.mode = len(data), 0o755
                t.addfile(info, io.BytesIO(data))
    return b.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def plain(layer):
    return gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer


def oci(layers, config):
    """{name: bytes} of an OCI image layout."""
    kind = "application/vnd.oci.image."
    files, descriptors = {}, []

    def add(data, media):
        files["blobs/sha256/" + digest(data)[7:]] = data
        return {"mediaType": kind + media, "digest": digest(data), "size": len(data)}

    for layer in layers:
        descriptors.append(add(layer, "layer.v1.tar" + ("+gzip" if layer[:2] == b"\x1f\x8b" else "")))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    made = add(json.dumps({"architecture": machine, "os": "linux", "config": config,
                           "rootfs": {"type": "layers", "diff_ids": [digest(plain(l)) for l in layers]}}).encode(), "config.v1+json")
    manifest = add(json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": made,
                               "layers": descriptors}).encode(), "manifest.v1+json")
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    return files


class ImageGrid(grid.Grid):
    """Root's boxes are nobody's, who has to reach images by their path; each worker's DIR is made so."""

    def __init__(self, *args, **more):
        super().__init__(0, *args, **more)
        os.chmod(self.dir, 0o711)
        self.env["XDG_CACHE_HOME"] = self.path("cache")
        self.root = make_root(self.path("root"))

    def add_worker(self, **more):
        os.makedirs(self.path("w%d" % len(self.workers)), 0o711, exist_ok=True)
        os.chmod(self.path("w%d" % len(self.workers)), 0o711)
        w = super().add_worker(**more)
        status = self.worker_status(w)
        if "image" not in status["lends"]["profiles"]:
            raise Skip("the box has no profile image here: " + grid.log_of(w)[-400:])
        return w

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def write_oci(self, name, layers, config):
        return self.write(name, tar_with(sorted(oci(layers, config).items())))

    def images_of(self, w):
        top = self.path(w.name, "images")
        return {n: os.stat(os.path.join(top, n)).st_ino for n in os.listdir(top)}

    def unpackings(self, w):
        return grid.log_of(w).count(" is unpacked: ")

    def run_job(self, *args, state="done", **more):
        job = self.submit(*args, **more)
        done = self.wait_done(job)
        assert done["state"] == state, done
        return job


def text_of(out, index, name="stdout"):
    with open(os.path.join(out, str(index), name)) as f:
        return f.read()


def test_a_job_of_an_image_runs_unpacked_once_and_is_agreed_on():
    with ImageGrid() as g:
        for _ in range(3):
            g.add_worker(slots=2)
        image = g.write("image.tar", tar_of(g.root))
        job = g.run_job("--image", image, "--range", "6", "--outputs", "copy", "--env", "GREETING=hello you", "--",
                        "/run.sh", "{index}")
        out = g.results(job)
        for i in range(6):
            want = "task %d of /run.sh in / with hello you\na\nb\nc\n" % i
            assert text_of(out, i) == want, text_of(out, i)
            assert text_of(out, i, "files/copy") == ""
        for line in grid.lines_of(out + "/results.ndjson"):
            assert line["state"] == "valid" and len(line["workers"]) >= 2, line
        g.verify(out, "--grid", g.link.rsplit("/", 1)[1])
        before = [g.images_of(w) for w in g.workers]
        # another job, the same layers: a word of PATH this time, lines on standard input
        again = g.run_job("--image", image, "--lines", g.write("lines", b"one\ntwo\n"), "--", "sort", "-r", "-", "/work/letters")
        out = g.results(again, "out2")
        assert text_of(out, 0) == "one\nc\nb\na\n", text_of(out, 0)
        for w, was in zip(g.workers, before):
            assert g.unpackings(w) <= 1, grid.log_of(w)
            names = set(was)
            assert len(names) in (0, 2) and all(re.fullmatch(r"[0-9a-f]{64}(\.size)?", n) for n in names), names
            assert not was or {n: i for n, i in g.images_of(w).items() if not n.endswith(".size")} == \
                {n: i for n, i in was.items() if not n.endswith(".size")}, "the tree was made anew"
        assert sum(map(g.unpackings, g.workers)) >= 2
        # started again, a worker takes up what it has
        w = next(w for w in g.workers if g.unpackings(w))
        assert w.stop() == 0
        w = g.restart_worker(w)
        g.run_job("--image", image, "--range", "8", "--", "/run.sh", "x")
        assert g.unpackings(w) == 1, grid.log_of(w)


def test_the_image_says_what_it_runs_and_where_unless_told_otherwise():
    config = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo $A,$B,$PWD; exec tries /root/.profile x"], "WorkingDir": "/work",
              "Env": ["A=of the image", "B=too", "PATH=/bin"]}
    with ImageGrid() as g:
        g.add_worker(slots=2)
        upper = tar_with([("work/letters", b"z\n"), ("work/.wh.none", b""), ("work/upper", b"upper\n")])
        layers = [tar_of(g.root, True), upper]
        image = g.write_oci("oci.tar", layers, config)
        folder = g.path("layout")
        for name, data in oci(layers, config).items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            g.write(os.path.join("layout", name), data)
        for n, (file, args, want) in enumerate([
                (image, [], "of the image,too,/work\n"),
                (folder, ["--env", "A=mine", "--workdir", "/bin"], "mine,too,/bin\n"),
                (image, ["--", "cat", "letters", "upper"], "z\nupper\n")]):
            job = g.run_job("--quorum", "1", "--image", file, *args)
            got = text_of(g.results(job, "out%d" % n), 0)
            assert got == want, (args, got)
        assert g.unpackings(g.workers[0]) == 1, "the folder and the tar have the same layers"


def test_what_a_box_refuses_is_refused_in_an_image_and_the_program_goes_on():
    with ImageGrid() as g:
        g.add_worker()
        image = g.write("image.tar.gz", tar_of(g.root, True))
        secret = g.write("secret", b"of the volunteer\n")
        job = g.run_job("--quorum", "1", "--image", image, "--outputs", "result.txt", "--", "tries", secret)
        out = g.results(job)
        assert text_of(out, 0) == "" and text_of(out, 0, "files/result.txt") == "but this is written\n"
        errors = text_of(out, 0, "stderr")
        for line in ("socket: Operation not permitted", "writing here: Read-only file system",
                     "writing /work: Read-only file system", "home of the volunteer: No such file or directory",
                     "passwd: No such file or directory"):
            assert line in errors, errors
        # a program that is not there is told like a shell would, by every copy alike
        job = g.submit("--quorum", "1", "--image", image, "--", "nosuch")
        g.wait_done(job)
        assert "127" in g.cli("status", job, "--task", "0"), g.cli("status", job, "--task", "0")


def test_try_dry_run_and_rerun():
    with ImageGrid() as g:
        g.add_worker()
        image = g.write("image.tar", tar_of(g.root))
        shown = g.cli("submit", "--dry-run", "--image", image, "--env", "GREETING=hi", "--", "/run.sh", "0")
        manifest = json.loads(shown)
        assert manifest["profile"] == "image" and manifest["image"]["path"] == image, shown
        assert manifest["image"]["layers"][0]["digest"] == digest(open(image, "rb").read())
        assert manifest["programs"][0]["path"] == "/run.sh" and "/split-" not in shown, shown
        job = g.run_job("--quorum", "1", "--try", "--image", image, "--env", "GREETING=hi", "--", "/run.sh", "0")
        out = g.results(job)
        trees = os.listdir(g.path("cache", "talkoot", "images"))
        assert len(trees) == 1 and re.fullmatch("[0-9a-f]{64}", trees[0]), trees
        assert [n for n in os.listdir(g.path("cache", "talkoot"))] == ["images"], "the layers are removed"
        grid.run([grid.program("talkoot"), "verify", out, "--rerun", "1"], g.env)
        shutil.rmtree(g.path("cache"))
        grid.run([grid.program("talkoot"), "verify", out, "--rerun", "1"], g.env)
        # the same from what --dry-run printed
        again = g.run_job(g.write("manifest.json", json.dumps(dict(manifest, assurance="quorum:1")).encode()))
        assert text_of(g.results(again, "out2"), 0) == text_of(out, 0)
        g.cli("submit", "--try", "--image", image, "--", "sh", "-c", "exit 3", code=1)
        assert "exit 3" in grid.run.stderr, grid.run.stderr


def test_a_hostile_image_ends_its_tasks_and_the_worker_goes_on():
    with ImageGrid() as g:
        w = g.add_worker(slots=2)
        good = g.write("good.tar", tar_of(g.root))
        victim = g.path("victim")
        for n, members in enumerate([[("../../../../" + victim.lstrip("/"), b"x")], [("a", g.dir), ("a/victim", b"x")]]):
            image = g.write_oci("hostile%d.tar" % n, [tar_of(g.root), tar_with(members)], {})
            job = g.submit("--quorum", "1", "--max-results", "1", "--image", image, "--range", "2", "--", "/run.sh")
            done = g.wait_done(job)
            assert done["state"] in ("failed", "done"), done
            story = g.cli("status", job, "--task", "0")
            assert "the image is refused" in story, story
            assert not os.path.exists(victim)
            out = g.results(job, "bad%d" % n)
            assert {line["state"] for line in grid.lines_of(out + "/results.ndjson")} == {"failed"}
            assert not any(".size" in name for name in g.images_of(w)), g.images_of(w)
        assert w.p.poll() is None
        job = g.run_job("--quorum", "1", "--image", good, "--", "/run.sh", "7")
        assert text_of(g.results(job), 0).startswith("task 7 of")


def test_a_worker_killed_while_it_unpacks_begins_anew_and_leaves_nothing():
    with ImageGrid() as g:
        w = g.add_worker()
        for i in range(8000):  # long enough to be met
            os.makedirs(g.root + "/many/%d" % (i // 1000), exist_ok=True)
            with open(g.root + "/many/%d/%d" % (i // 1000, i), "w") as f:
                f.write("x" * 1000)
        image = g.write("image.tar", tar_of(g.root))
        job = g.submit("--quorum", "1", "--image", image, "--", "/run.sh", "0")
        for suffix in ".stream", ".new":
            wait_for("something of the image", lambda: any(n.endswith(suffix) for n in os.listdir(g.path(w.name, "images"))) or
                     g.unpackings(w))
            w.kill()
            w = g.restart_worker(w)
        assert g.wait_done(job)["state"] == "done"
        assert g.unpackings(w) == 1, grid.log_of(w)
        wait_for("what was left to be removed", lambda: {re.sub("^[0-9a-f]{64}", "KEY", n) for n in g.images_of(w)} ==
                 {"KEY", "KEY.size"})


def test_the_image_used_last_stays_when_room_is_needed():
    with ImageGrid() as g:
        w = g.add_worker(args=["--disk", "60"])
        images = []
        for n in range(3):
            with open(g.root + "/large", "wb") as f:
                f.write(os.urandom(10 << 20))
            images.append(g.write("image%d.tar" % n, tar_of(g.root)))
        for image in images[0], images[1], images[0], images[2], images[0]:
            g.run_job("--quorum", "1", "--disk", "16", "--image", image, "--", "/run.sh", "0")
        log = grid.log_of(w)
        assert log.count("is removed: room is needed") == 1, log[-3000:]
        assert g.unpackings(w) == 3, log[-3000:]


def test_what_does_not_go_together_is_told():
    with ImageGrid() as g:
        image = g.write("image.tar", tar_of(g.root))
        for args, words in [
                (["--env", "A=b", "--", g.root + ".tries"], ["--env", "--image"]),
                (["--profile", "image", "--", "/run.sh"], ["--image FILE"]),
                (["--profile", "files", "--image", image, "--", "/run.sh"], ["--profile files"]),
                (["--image", image, "--env", "b", "--", "/run.sh"], ["NAME=VALUE"]),
                (["--image", image, "--workdir", "x", "--", "/run.sh"], ["--workdir", "slash"]),
                (["--image", image], ["does not say what it runs"]),
                (["--image", g.path("none.tar"), "--", "/run.sh"], ["none.tar"]),
                (["--image", g.write("text", b"just text\n"), "--", "/run.sh"], ["text"]),
                (["--", g.root + ".tries"], ["talkoot pack", "--image"]),
                (["--", g.root + "/run.sh"], ["talkoot pack", "--image"])]:
            g.cli("submit", *args, code=2)
            for word in words:
                assert word in grid.run.stderr, (args, grid.run.stderr)


def test_roots_worker_in_a_closed_folder_keeps_its_images_where_its_boxes_get_to():
    if os.geteuid():
        raise Skip("not root: an ordinary user's boxes are its own")
    with grid.Grid(0) as g:
        os.chmod(g.dir, 0o700)
        here = "/var/cache/talkoot/worker-%016x" % random.getrandbits(64)
        os.makedirs(here + "/x")
        os.symlink(g.path("gone"), here + ".of")  # of a worker that was killed and whose folder was removed
        w = g.add_worker()
        assert not os.path.lexists(here) and not os.path.lexists(here + ".of")
        status = g.worker_status(w)
        assert "image" in status["lends"]["profiles"], grid.log_of(w)
        (of,) = [p for p in glob.glob("/var/cache/talkoot/worker-*.of") if os.readlink(p) == os.path.realpath(g.path(w.name))]
        assert w.stop() == 0
        assert not os.path.lexists(of) and not os.path.exists(of[:-3])


if __name__ == "__main__":
    grid.main(globals())
