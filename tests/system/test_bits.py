#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_bits.py: jobs that ask for an optional bit, and volunteers who allow it or not.

jit: memory that was written may be executed; proc: a masked /proc. The program says on standard output which of them
it has, for it does what each is for.
"""
import json
import os
import shutil

import grid
import test_image_job
from grid import Grid, program, run, wait_for
from test_image_job import text_of

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A function made at run time: return 42. */
#if defined(__x86_64__)
static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
#elif defined(__aarch64__)
static const unsigned int code[] = { 0x52800540, 0xd65f03c0 };
#endif

int main(void)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(p, code, sizeof(code));
	__builtin___clear_cache(p, p + sizeof(code));
	if (mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0)
		printf("jit %d\n", ((int (*)(void))p)());
	if (access("/proc/self/maps", R_OK) == 0)
		puts("proc");
	puts("end");
	return 0;
}
"""
TRIES_ALL = [[], ["jit"], ["proc"], ["jit", "proc"]]
SAYS = {"jit": "jit 42\n", "proc": "proc\n"}


def build(g):
    return grid.compile_static(PROGRAM, g.path("bits"))


def lends(g, w):
    return g.worker_status(w)["lends"]


def need(w, g, *bits):
    """Skips where the box itself cannot give them."""
    if set(bits) - set(lends(g, w)["bits"]):
        raise grid.Skip("the box cannot give %s here: %s" % (" and ".join(bits), grid.log_of(w)[-300:]))


def test_a_job_gets_the_bits_it_asks_for_and_no_others():
    with Grid() as g:
        for _ in range(2):
            need(g.add_worker(slots=2, args=("--bits", "jit,proc")), g, "jit", "proc")
        exe = build(g)
        for n, bits in enumerate(TRIES_ALL + TRIES_ALL):  # twice: boxes that stood by for another's
            asked = ("--bits", ",".join(bits)) if bits else ("--profile", "files")
            job = g.submit(*asked, "--range", "3", "--", exe)
            assert g.wait_done(job)["state"] == "done", g.job(job)
            out = g.results(job, "out%d" % n)
            want = "".join(SAYS[b] for b in bits) + "end\n"
            for i in range(3):
                assert text_of(out, i) == want, (bits, text_of(out, i))
        # the last one's: run again here
        run([program("talkoot"), "verify", out, "--rerun", "2"], g.env)


def test_only_who_allows_a_bit_is_asked_to_give_it():
    with Grid() as g:
        exe = build(g)
        none = g.add_worker()
        wait_for("its first ask", lambda: g.status()["workers"]["online"] == 1)
        assert lends(g, none)["bits"] == []
        for bits in "jit", "proc", "jit,proc":
            g.cli("submit", "--quorum", "1", "--bits", bits, "--", exe, code=4)
            assert "bits" in run.stderr, run.stderr
        one = g.add_worker(args=("--bits", "jit"))
        wait_for("who allows one", lambda: g.status()["workers"]["online"] == 2)
        g.cli("submit", "--quorum", "1", "--bits", "jit,proc", "--", exe, code=4)
        job = g.submit("--quorum", "1", "--range", "6", "--bits", "jit", "--", exe)
        assert g.wait_done(job)["tasks"]["valid"] == 6, g.job(job)
        ran = g.db("SELECT DISTINCT worker.id FROM lease JOIN worker ON lease.worker = worker.n JOIN job ON "
                   "lease.job = job.n WHERE job.id = ?", bytes.fromhex(job))
        assert [bytes(row[0]).hex() for row in ran] == [one.id], ran


def test_what_its_box_cannot_give_a_worker_does_not_offer():
    with Grid() as g:
        box = g.path("box")
        with open(box, "w") as f:
            f.write("#!/bin/sh\nif [ \"$1\" = --check ]; then\n\tcat %s\n\texit 0\nfi\nexec %s \"$@\"\n" % (
                g.path("answer"), program("talkoot-sandbox")))
        os.chmod(box, 0o755)
        with open(g.path("answer"), "w") as f:
            json.dump({"compute": True, "files": True, "image": False, "layers": {},
                       "bits": {"jit": "ok", "proc": "--bits proc: mounting a /proc of its own: Operation not permitted"}}, f)
        w = g.add_worker(args=("--sandbox", box, "--bits", "jit,proc"))
        assert lends(g, w)["bits"] == ["jit"], lends(g, w)
        assert "--bits allows proc, which the box cannot give here" in grid.log_of(w), grid.log_of(w)
        said = run([program("talkoot-worker"), "--data", g.path(w.name), "--sandbox", box, "check"], g.env)
        assert "bit proc         does not work: --bits proc" in said and "mend: " in said, said
        wait_for("its first ask", lambda: g.status()["workers"]["online"] == 1)
        exe = build(g)
        g.cli("submit", "--quorum", "1", "--bits", "proc", "--", exe, code=4)
        job = g.submit("--quorum", "1", "--bits", "jit", "--", exe)
        assert g.wait_done(job)["tasks"]["valid"] == 1, g.job(job)


def test_a_compiler_at_run_time_runs_in_an_image_that_has_its_bit():
    luajit = shutil.which("luajit")
    if not luajit:
        raise grid.Skip("there is no luajit")
    with test_image_job.ImageGrid() as g:
        g.add_worker(args=("--bits", "jit"))
        test_image_job.put(g.root, luajit, "/bin/luajit")
        script = "local s = 0 for i = 1, 1e6 do s = s + i end print(s, jit.status())"
        image = g.write("image.tar", test_image_job.tar_of(g.root))
        job = g.submit("--try", "--quorum", "1", "--bits", "jit", "--image", image, "--", "luajit", "-e", script)
        assert g.wait_done(job)["state"] == "done", g.job(job)
        assert text_of(g.results(job), 0).startswith("500000500000\ttrue"), text_of(g.path("out"), 0)
        job = g.submit("--quorum", "1", "--image", image, "--", "luajit", "-e", script)
        g.wait_done(job)
        story = g.cli("status", job, "--task", "0")
        assert "runtime code generation failed" in story, story


def test_bits_in_a_manifest_and_what_does_not_go_together():
    with Grid() as g:
        exe = build(g)
        shown = json.loads(g.cli("submit", "--dry-run", "--bits", "proc,jit,proc", "--", exe))
        assert (shown["bits"], shown["profile"]) == (["proc", "jit"], "files"), shown
        assert "bits" not in json.loads(g.cli("submit", "--dry-run", "--", exe))
        del shown["profile"]
        with open(g.path("manifest.json"), "w") as f:
            json.dump(shown, f)
        again = json.loads(g.cli("submit", "--dry-run", g.path("manifest.json")))
        assert (again["bits"], again["profile"]) == (["proc", "jit"], "files"), again
        for args, words in [(["--bits", "net"], ["--bits", "net", "jit", "proc"]), (["--bits", "jit,"], ["--bits"]),
                            (["--bits", "jit", "--profile", "compute"], ["--bits", "--profile compute"])]:
            g.cli("submit", *args, "--", exe, code=2)
            for word in words:
                assert word in run.stderr, (args, run.stderr)


if __name__ == "__main__":
    grid.main(globals())
