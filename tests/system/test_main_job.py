# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: submit, lease, run in the box, signed result, quorum, verified offline."""
import base64
import hashlib
import json
import os
import shutil
import time

from grid import Grid, Skip, compile_static, get_json, lines_of, main, program, run, wait_for

SQUARES = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : -1;

	printf("%ld squared is %ld\n", n, n * n);
	return 0;
}
"""

CHANCE = r"""
#include <stdio.h>
#include <sys/random.h>
int main(void)
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return 1;
	for (int i = 0; i < 16; i++)
		printf("%02x", b[i]);
	puts("");
	return 0;
}
"""

FOLD_LINES = ["S1-1 HPHPPHHPHPPHPHHPPHPH %d 20000" % s for s in range(1, 9)]


def squares(grid):
    path = grid.path("squares")
    return path if os.path.exists(path) else compile_static(SQUARES, path)


def check_results(out, count, quorum=2):
    """What anyone may expect of a finished job's folder."""
    rows = lines_of(os.path.join(out, "results.ndjson"))
    assert [r["index"] for r in rows] == list(range(count)), "every index once, in order"
    for r in rows:
        assert r["state"] == "valid" and r["exit"] == 0, r
        assert len(set(r["workers"])) == quorum, "distinct workers: %r" % r
        with open(os.path.join(out, str(r["index"]), "stdout"), "rb") as f:
            assert "sha256:" + hashlib.sha256(f.read()).hexdigest() == r["stdout"]
    return rows


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def test_what_draws_chance_agrees_and_can_be_run_again():
    with Grid(workers=2) as g:
        job = g.submit("--range", "6", "--", compile_static(CHANCE, g.path("chance")))
        assert g.wait_done(job)["tasks"]["valid"] == 6
        out = g.results(job)
        check_results(out, 6)
        drawn = {open(os.path.join(out, str(i), "stdout")).read() for i in range(6)}
        assert len(drawn) == 6, "each task has a seed of its own: %r" % drawn
        g.verify(out, "--rerun", "3")


def test_200_tasks_on_three_workers_are_valid_and_verify_offline():
    with Grid(workers=3) as g:
        job = g.submit("--range", "200", "--", squares(g), "{index}")
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == 200, end
        out = g.results(job)
        check_results(out, 200)
        with open(os.path.join(out, "17", "stdout")) as f:
            assert f.read() == "17 squared is 289\n"
        status = g.status()
        assert status["results"]["agreed"] == 400 and status["results"]["disagreed"] == 0, status
        g.coordinator.stop()
        said = g.verify(out)
        assert "not checked" in said, said
        grid_id = g.link.rsplit("/", 1)[1]
        assert "not checked" not in g.verify(out, "--grid", grid_id, "--job", job)
        g.verify(out, "--grid", "0" * 64, code=1)
        g.verify(out, "--job", "0" * 64, code=1)
        g.verify(out, "--rerun", "3")
        tampering(g, out)


def tampering(g, out):
    """Any one byte changed, a task dropped: verify says no and names what is at fault."""
    whole = g.path("whole")
    shutil.copytree(out, whole)

    def fails(name, naming=""):
        said = g.verify(out, code=1) + run.stderr
        assert naming in said, "%s: verify names %r: %s" % (name, naming, said[-500:])

    def with_flipped(name, at, naming=""):
        flip(os.path.join(out, name), at)
        fails("%s byte %d" % (name, at), naming)
        flip(os.path.join(out, name), at)

    def without_lines(name, first, last, naming):
        path = os.path.join(out, name)
        with open(path) as f:
            rows = f.readlines()
        with open(path, "w") as f:
            f.writelines(rows[:first] + rows[last:])
        fails("lines dropped from " + name, naming)
        with open(path, "w") as f:
            f.writelines(rows)

    # every byte of a small job is flipped in the unit test; here samples of the real files
    for name in ("results.ndjson", "job.json", "verdicts.ndjson", "attestations.ndjson", "grid.json"):
        size = os.path.getsize(os.path.join(out, name))
        for at in (0, size // 3, size // 2, size - 1):
            with_flipped(name, at)
    with_flipped("42/stdout", 3, "42")
    without_lines("results.ndjson", 99, 100, "99")
    without_lines("verdicts.ndjson", 0, 1, "task")
    without_lines("attestations.ndjson", 0, 1, "task")
    os.rename(os.path.join(out, "7", "stdout"), g.path("away"))
    fails("an output that is gone", "7")
    os.rename(g.path("away"), os.path.join(out, "7", "stdout"))
    g.verify(out)


def test_another_jobs_evidence_does_not_pass():
    with Grid(workers=2) as g:
        a = g.submit("--range", "3", "--", squares(g), "{index}")
        b = g.submit("--range", "3", "--", squares(g), "{index}")
        g.wait_done(a), g.wait_done(b)
        out_a, out_b = g.results(a, "a"), g.results(b, "b")
        g.verify(out_a), g.verify(out_b)
        for name in ("job.json", "verdicts.ndjson", "attestations.ndjson", "results.ndjson"):
            mixed = g.path("mixed")
            shutil.copytree(out_a, mixed)
            shutil.copy(os.path.join(out_b, name), os.path.join(mixed, name))
            if name != "results.ndjson":
                g.verify(mixed, code=1)
            g.verify(mixed, "--job", b, code=1)
            shutil.rmtree(mixed)


LIAR = """#!/bin/sh
# A box that runs the real one and then lies about what came out.
out= prev=
for a in "$@"; do
	[ "$prev" = --stdout ] && out=$a
	prev=$a
done
"%s" "$@"
code=$?
[ -z "$out" ] || echo "a lie" >"$out"
exit $code
"""


def test_a_liar_among_three_is_outvoted():
    with Grid(workers=2) as g:
        liar = g.path("liar.sh")
        with open(liar, "w") as f:
            f.write(LIAR % program("talkoot-sandbox"))
        os.chmod(liar, 0o755)
        bad = g.add_worker(name="liar", args=("--sandbox", liar))
        job = g.submit("--range", "60", "--", squares(g), "{index}")
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == 60, end
        out = g.results(job)
        for row in check_results(out, 60):
            n = row["index"]
            with open(os.path.join(out, str(n), "stdout")) as f:
                assert f.read() == "%d squared is %d\n" % (n, n * n)
            assert bad.id not in row["workers"]
        status = g.status()
        assert status["results"]["disagreed"] > 0, status
        g.verify(out)
        no_hint_of_copies(g, bad)


def no_hint_of_copies(g, w):
    """The last answer this worker got: every lease in it has id, index and ttl_ms and nothing else, first copy
    or later one, and so has every lease it was ever given."""
    answer = json.loads(g.db("SELECT answer FROM worker WHERE id = ?", bytes.fromhex(w.id))[0][0])
    assert set(answer) == {"ack", "leases"}, answer
    for envelope in answer["leases"]:
        payload = json.loads(base64.b64decode(envelope["payload"]))
        for lease in payload["leases"]:
            assert set(lease) == {"id", "index", "ttl_ms"} and lease["ttl_ms"] == 60000, lease
    reasons = {r for (r,) in g.db("SELECT DISTINCT l.reason FROM lease l JOIN worker w ON w.n = l.worker WHERE w.id = ?",
                                  bytes.fromhex(w.id))}
    assert reasons == {"first", "copy"}, "it held both kinds: %r" % reasons


def test_nothing_shows_a_worker_which_copy_it_holds():
    """While a task has one result in, the public view says running, and its output is 404."""
    with Grid(workers=1) as g:
        job = g.submit("--range", "2", "--", squares(g), "{index}")
        wait_for("the only worker's results", lambda: g.job(job)["tasks"].get("checking") == 2)
        public = json.loads(g.cli("status", job, "--json", "--identity", g.path("stranger.key")))
        assert public["tasks"].get("checking", 0) == 0 and public["tasks"]["running"] == 2, public
        assert "needs 2 independent workers, has 1" in json.dumps(g.job(job))
        digest = "sha256:" + hashlib.sha256(b"0 squared is 0\n").hexdigest()
        g.cli("blob", "get", digest, "-o", g.path("x"), code=1)
        g.add_worker()
        g.wait_done(job)
        g.cli("blob", "get", digest, "-o", g.path("x"))


def test_a_strangers_program_runs_as_it_does_here():
    """busybox-static's sha256sum over files, one a task: equal to running it directly."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    if not os.path.exists(busybox):
        raise Skip("busybox-static is not installed")
    with Grid(workers=3) as g:
        files = []
        for n in range(6):
            files.append(g.path("input-%d" % n))
            with open(files[-1], "wb") as f:
                f.write(os.urandom(1 + n * 70000))
        link = g.path("sha256sum")
        shutil.copy(busybox, link)
        job = g.submit("--each", *files, "--", link)
        g.wait_done(job)
        out = g.results(job)
        rows = check_results(out, 6)
        for n, path in enumerate(files):
            with open(path, "rb") as f:
                direct = run([busybox, "sha256sum"], stdin=f.read())
            with open(os.path.join(out, str(n), "stdout")) as f:
                assert f.read() == direct
            assert rows[n]["name"] == os.path.basename(path)
        g.verify(out, "--rerun", "2")


def test_files_in_and_out():
    source = r"""
	#include <stdio.h>
	int main(int argc, char **argv)
	{
		char line[100] = "";
		FILE *in = fopen("/in/config", "r"), *out = fopen("/out/answer.txt", "w");
		FILE *other = fopen("/out/undeclared.tmp", "w");

		if (!in || !out || !other || !fgets(line, sizeof(line), in))
			return 3;
		fprintf(out, "%s%s", argv[1], line);
		return argc == 2 ? 0 : 4;
	}"""
    with Grid(workers=2) as g:
        exe = compile_static(source, g.path("files"))
        with open(g.path("config.txt"), "w") as f:
            f.write(" from the file\n")
        job = g.submit("--range", "2", "--file", "config=" + g.path("config.txt"), "--outputs", "*.txt",
                       "--", exe, "task {index}")
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == 2, end
        out = g.results(job)
        with open(os.path.join(out, "1", "files", "answer.txt")) as f:
            assert f.read() == "task 1 from the file\n"
        assert os.listdir(os.path.join(out, "1", "files")) == ["answer.txt"]
        g.verify(out)


def test_large_outputs_are_uploaded():
    source = r"""
	#include <stdio.h>
	int main(void)
	{
		for (long i = 0; i < 400000; i++)
			printf("%ld\n", i);
		return 0;
	}"""
    with Grid(workers=2) as g:
        job = g.submit("--range", "2", "--", compile_static(source, g.path("large")))
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == 2, end
        out = g.results(job)
        assert os.path.getsize(os.path.join(out, "1", "stdout")) > 2000000
        g.verify(out)


def test_an_agreed_exit_is_failed_at_once_with_its_output():
    source = r"""
	#include <stdio.h>
	int main(void)
	{
		puts("sorry");
		fputs("no input\n", stderr);
		return 3;
	}"""
    with Grid(workers=3) as g:
        job = g.submit("--range", "4", "--", compile_static(source, g.path("fails")))
        end = g.wait_done(job)
        assert end["tasks"]["failed"] == 4, end
        assert g.status()["results"]["received"] == 8, "two results a task, not more"
        out = g.results(job)
        rows = lines_of(os.path.join(out, "results.ndjson"))
        assert all(r["state"] == "failed" and r["exit"] == 3 and "3" in r["why"] for r in rows), rows
        with open(os.path.join(out, "0", "stdout")) as f:
            assert f.read() == "sorry\n"
        assert "no input" in g.cli("status", job, "--task", "0")
        g.cli("status", job, "--task", "4", code=1)
        assert run.stderr == "talkoot: --task 4 of job %s: field index: must be 0 to 3: the job has no other tasks\n" % job[:12], run.stderr
        assert g.cli("wait", job, code=1) == "done: 4 failed\n"
        assert "4 tasks failed: `talkoot results %s --format csv`" % job[:12] in run.stderr, run.stderr
        g.verify(out)


def test_limits_end_a_task_with_their_reason():
    source = r"""
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		if (!strcmp(argv[1], "wall"))
			for (;;)
				pause();
		if (!strcmp(argv[1], "cpu"))
			for (volatile long i = 0;; i++)
				;
		if (!strcmp(argv[1], "memory"))
			for (char *p; (p = malloc(1 << 20));)
				memset(p, 1, 1 << 20);
		if (!strcmp(argv[1], "output"))
			for (;;)
				if (puts("flood") < 0)
					break;
		return argc;
	}"""
    with Grid(workers=1) as g:
        exe = compile_static(source, g.path("limits"))
        limits = ["--cpu", "1", "--memory", "64", "--max-output", "1", "--quorum", "1", "--max-results", "1", "--", exe, "{what}"]
        # on a busy machine a second of an idle-priority program's processor time takes long: only one is to meet --wall
        for what, wall in ("wall", "2"), ("cpu,memory,output", "600"):
            job = g.submit("--param", "what=" + what, "--wall", wall, *limits)
            assert g.wait_done(job)["tasks"]["failed"] == len(what.split(",")), job
        reasons = [reason for _, _, reason in sorted(g.db("SELECT job, idx, reason FROM result"))]
        # a failed malloc may also end the program by itself: exit 2, with the limit named all the same
        assert reasons == ["wall", "cpu", "memory", "output"], reasons


def test_a_new_job_starts_within_a_second_on_an_idle_worker():
    """No clock is asserted: the ask that is being held is answered by the job, so fewer asks are made than
    polling would need."""
    with Grid(workers=2) as g:
        first = g.submit("--range", "1", "--", squares(g), "{index}")
        g.wait_done(first)
        began = time.monotonic()
        job = g.submit("--range", "1", "--", squares(g), "{index}")
        g.wait_done(job)
        print("     a second job of one task, submit to valid: %.2f s" % (time.monotonic() - began))


def test_cancel_stops_what_runs():
    source = "#include <unistd.h>\nint main(void) { for (;;) pause(); }"
    with Grid(workers=1) as g:
        job = g.submit("--range", "3", "--", compile_static(source, g.path("forever")))
        wait_for("a task to run", lambda: g.job(job)["tasks"]["running"] > 0)
        g.cli("cancel", job)
        end = g.wait_done(job)
        assert end["state"] == "cancelled" and end["tasks"]["cancelled"] == 3, end
        quick = g.submit("--range", "1", "--quorum", "1", "--", squares(g), "{index}")
        g.wait_done(quick)  # the slot is free again
        g.cli("wait", job, code=1)


def test_what_is_said_along_the_way():
    with Grid(workers=1) as g:
        exe = squares(g)
        job = g.submit("--range", "2", "--", exe, "{index}")
        wait_for("a second worker to be missed",
                 lambda: "waiting: needs 2 independent workers, has 1\n" in g.cli("status", job))
        wait_for("one result", lambda: "exited 0" in g.cli("status", job, "--task", "0"))
        assert "0" * 64 not in g.cli("status", job, "--task", "0")
        g.results(job, "early", code=1)
        assert "0 of 2 tasks are final" in run.stderr
        g.add_worker()
        g.wait_done(job)
        out = g.results(job)
        assert "; 2 run again here" in g.verify(out, "--rerun", "2")
        other = g.submit("--", exe, "7")
        g.wait_done(other)
        g.cli("results", other, "--output", out, code=1)
        assert run.stderr == "talkoot: job %s: %s holds another job's results\n" % (other[:12], out), run.stderr
        assert g.cli("submit", "--wait", "-o", out, "--", exe, code=1) == "" and "another job" in run.stderr
        assert len(json.loads(g.cli("jobs", "--json"))["jobs"]) == 2, "refused before it was submitted"
        said = json.loads(g.cli("results", other, "--json", "-o", os.fsencode(g.path("odd")) + b"\xff"))
        assert said["output"].endswith("odd\\xff") and said["final"] == 1


def test_who_may_submit():
    with Grid(workers=0, submitter=False) as g:
        text = g.cli("submit", "--range", "1", "--", squares(g), code=4) + run.stderr
        assert "allow submitter" in text and g.cli("id").strip().split()[-1] in text, text
        g.allow(g.cli("id").strip().split()[-1])
        g.submit("--range", "1", "--", squares(g))


def test_naughty_strings_as_names():
    vectors = os.path.join(os.environ.get("TALKOOT_VECTORS", "../shared/vectors"), "blns/blns.json")
    if not os.path.exists(vectors):
        raise Skip("%s is not here" % vectors)
    with open(vectors) as f:
        names = [s for s in json.load(f) if 0 < len(s.encode(errors="replace")) <= 200 and "\0" not in s]
    with Grid(workers=0) as g:
        lines = g.path("lines")
        with open(lines, "w", encoding="utf-8") as f:
            f.write("\n".join(n.replace("\n", " ").replace("\r", " ") for n in names) + "\n")
        shown = 0
        for n in names[::12]:
            job = g.submit("--range", "1", "--name=" + n, "--", squares(g))
            assert get_json(g.admin_url + "/v1/jobs/" + job)["name"] == n
            listing = g.cli("jobs")
            assert "\x1b" not in listing and "\x07" not in listing
            shown += 1
        assert shown > 10
        job = g.submit("--lines", lines, "--", squares(g), "{line}")
        assert g.job(job)["count"] == len(names)


if __name__ == "__main__":
    main(globals())
