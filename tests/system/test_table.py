# SPDX-License-Identifier: Apache-2.0
"""Task input as people have it, results as people want them: tables in, tables out, and what failed tried again."""
import csv
import hashlib
import io
import json
import os
import stat
import subprocess
import time

from grid import Grid, compile_static, lines_of, main, program, run, wait_for
from test_cli import Home

# Prints each argument as one line. A program of the tests' own: what it prints is what it was given.
SAY = r"""
#include <stdio.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		puts(argv[i]);
	return 0;
}
"""

# Takes the memory (MiB) of its first argument, then says its second.
EAT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	fprintf(stderr, "wants %s MiB\n", argv[1]);
	for (int i = atoi(argv[1]); i > 0; i--) {
		volatile char *p = malloc(1 << 20);

		for (int k = 0; p && k < 1 << 20; k += 4096)
			p[k] = 1;
		if (!p)
			return 1;
	}
	printf("{\"number\":%s,\"took\":%s}\n", argv[2], argv[1]);
	return 0;
}
"""

# Fails where its argument is odd.
ODD = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	int odd = atoi(argv[1]) % 2;

	fprintf(stderr, "%s is %s\n", argv[1], odd ? "odd" : "even");
	printf("%s\n", argv[1]);
	return odd ? 3 : 0;
}
"""


def say(g):
    path = g.path("say")
    return path if os.path.exists(path) else compile_static(SAY, path)


def write(g, name, data):
    with open(g.path(name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return g.path(name)


def rows_of(text):
    assert text.endswith("\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def table(g, job, *args, code=0):
    """The job's table on standard output: exact bytes, so that line ends count."""
    p = subprocess.run([program("talkoot"), "results", job, "--format", "csv"] + list(args), env=g.env, cwd=g.dir,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240)
    run.stderr = p.stderr.decode()
    assert p.returncode == code, (p.returncode, run.stderr)
    return p.stdout.decode()


def no_scratch(g):
    assert not [n for n in os.listdir(g.dir) if n.startswith("talkoot-results-")], os.listdir(g.dir)


def one_worker_is_enough():
    g = Grid(workers=1, slots=2)
    g.env["TMPDIR"] = g.dir
    return g


def test_every_kind_of_task_has_its_parameters_in_the_results():
    with one_worker_is_enough() as g:
        lines = write(g, "lines.txt", "first\nsecond one\n")
        kinds = [
            (["--range", "2"], "{index}", [{}, {}]),
            (["--each", say(g), lines], "{name}", [{"name": "say"}, {"name": "lines.txt"}]),
            (["--lines", lines], "{line}", [{"line": "first"}, {"line": "second one"}]),
            (["--param", "b=1,2", "--param", "a=x"], "{a}{b}",
             [{"params": {"b": "1", "a": "x"}}, {"params": {"b": "2", "a": "x"}}]),
            (["--table", write(g, "t.csv", "z z,a\r\n1,2\r\n3,4\r\n")], "{z z}{a}",
             [{"params": {"z z": "1", "a": "2"}}, {"params": {"z z": "3", "a": "4"}}]),
        ]
        jobs = [g.submit(*source, "--quorum", "1", "--", say(g), arg) for source, arg, _ in kinds]
        os.remove(lines)  # who fetches has only the job id
        stranger = dict(g.env, HOME=g.path("else"), XDG_CONFIG_HOME=g.path("else/c"), XDG_DATA_HOME=g.path("else/d"))
        mine, g.env = g.env, stranger
        for n, (job, (source, _, expected)) in enumerate(zip(jobs, kinds)):
            g.wait_done(job)
            out = g.results(job, "out%d" % n)
            rows = lines_of(os.path.join(out, "results.ndjson"))
            got = [{k: r[k] for k in ("name", "line", "params") if k in r} for r in rows]
            assert got == expected, (source, got)
            for r in rows:
                assert list(r.get("params", {})) == list(expected[0].get("params", {})), "in their order: %r" % r
            g.verify(out)
            text = open(os.path.join(out, "results.ndjson")).read()
            assert g.cli("results", job, "--format", "ndjson") == text
            with open(os.path.join(out, "results.ndjson"), "w") as f:
                f.write(text.replace('"x"', '"y"') if '"x"' in text else text.replace('"index":1', '"index":1,"line":"no"'))
            g.verify(out, code=1)
        g.env = mine
        no_scratch(g)


def test_a_table_comes_back_as_a_table():
    with one_worker_is_enough() as g:
        source = ('\ufeffsample name,state,x\r\n"a ""q"", b",=1+1,-5\r\n"two\r\nlines",ü,+.5e3\r\nplain, s ,-x\r\n')
        job = g.submit("--table", write(g, "in.csv", source), "--quorum", "1", "--", say(g),
                       '{"x":{index},"label":"n{index}","more":[0.1,{"k":null}]}')
        g.wait_done(job)
        text = table(g, job)
        head = text.split("\r\n")[0]
        assert head == "index,state,sample name,in.state,x,out.x,label,more,why", head
        rows = rows_of(text)
        assert [r["sample name"] for r in rows] == ['a "q", b', "two\r\nlines", "plain"]
        assert [r["in.state"] for r in rows] == ["'=1+1", "ü", " s "]
        assert [r["x"] for r in rows] == ["-5", "+.5e3", "'-x"]
        assert [r["out.x"] for r in rows] == ["0", "1", "2"] and rows[2]["label"] == "n2"
        assert all(r["state"] == "valid" and r["why"] == "" for r in rows)
        assert json.loads(rows[0]["more"]) == [0.1, {"k": None}] and rows[0]["more"] == '[0.1,{"k":null}]'
        assert [r["in.state"] for r in rows_of(table(g, job, "--exact"))] == ["=1+1", "ü", " s "]
        # into a file, atomically; beside the folder
        assert g.cli("results", job, "--format", "csv", "-o", "out.csv", "--output", "folder") == ""
        with open(g.path("out.csv"), newline="") as f:
            assert f.read() == text
        assert stat.S_IMODE(os.stat(g.path("out.csv")).st_mode) == 0o666 & ~umask()
        g.verify(g.path("folder"))
        assert table(g, job, "--output", "folder") == text
        assert table(g, job, "-o", "-") == text
        said = json.loads(g.cli("results", job, "--format", "csv", "-o", "out.csv", "--json"))
        assert said["final"] == said["count"] == 3 and said["output"] == "out.csv"
        assert not [n for n in os.listdir(g.dir) if n.startswith("out.csv.")]
        os.mkdir(g.path("d.csv"))
        g.cli("results", job, "--format", "csv", "-o", "d.csv", code=1)
        assert "d.csv" in run.stderr and not [n for n in os.listdir(g.dir) if n.startswith("d.csv.")]
        with open("/dev/full", "w") as full:
            p = subprocess.run([program("talkoot"), "results", job, "--format", "csv"], env=g.env, stdout=full,
                               stderr=subprocess.PIPE)
            assert p.returncode == 1 and b"table" in p.stderr, p
        # what lies in the folder is held against its digest
        with open(g.path("folder", "1", "stdout"), "w") as f:
            f.write('{"x":9}\n')
        assert table(g, job, "--output", "folder") == text, "fetched anew"
        no_scratch(g)


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_text_binary_and_long_outputs():
    source = r"""
	#include <stdio.h>
	#include <string.h>
	int main(int argc, char **argv)
	{
		if (!strcmp(argv[1], "lines"))
			printf("a,b\n1,\"2\"\n");
		else if (!strcmp(argv[1], "binary"))
			fwrite("\x1b[2J\0\xff", 1, 6, stdout);
		else if (!strcmp(argv[1], "long"))
			for (int i = 0; i < 70000; i++)
				putchar('x');
		else if (strcmp(argv[1], "none"))
			printf("%s\n", argv[1]);
		return 0;
	}"""
    with one_worker_is_enough() as g:
        kinds = ["lines", "binary", "long", "none", "line", "@cmd"]
        job = g.submit("--param", "kind=" + ",".join(kinds), "--quorum", "1", "--",
                       compile_static(source, g.path("kinds")), "{kind}")
        g.wait_done(job)
        rows = rows_of(table(g, job))
        assert list(rows[0]) == ["index", "state", "kind", "stdout", "stdout_digest", "why"]
        assert [r["kind"] for r in rows] == kinds[:5] + ["'@cmd"]
        assert [r["stdout"] for r in rows] == ['a,b\n1,"2"', "", "", "", "line", "'@cmd"]

        def digest(b):
            return "sha256:" + hashlib.sha256(b).hexdigest()
        assert [r["stdout_digest"] for r in rows] == ["", digest(b"\x1b[2J\0\xff"), digest(b"x" * 70000), "", "", ""]
        assert rows_of(table(g, job, "--output", "all")) == rows, "with every output at hand it is the same table"


def test_what_lacked_memory_is_tried_again_with_more():
    with Grid(workers=2) as g:
        g.env["TMPDIR"] = g.dir
        sizes = write(g, "sizes.csv", "mib,label\n1,a\n200,b\n2,c\n300,d\n")
        job = g.submit("--table", sizes, "--memory", "64", "--max-results", "2", "--name", "eat", "--",
                       compile_static(EAT, g.path("eat")), "{mib}", "{index}")
        assert g.cli("wait", job, code=1)
        rows = rows_of(table(g, job))
        assert [r["state"] for r in rows] == ["valid", "failed", "valid", "failed"], rows
        assert [r["why"] for r in rows] == ["", "no agreement", "", "no agreement"]
        assert [r["number"] for r in rows] == ["0", "", "2", ""] and rows[3]["label"] == "d"
        # its owner can see why
        said = g.cli("status", job, "--task", "1")
        assert "memory" in said and "wants 200 MiB" in said and "no agreement" in said, said
        out = g.results(job, "first")
        with open(os.path.join(out, "1", "stderr")) as f:
            assert f.read() == "wants 200 MiB\n"
        g.verify(out)
        with open(os.path.join(out, "1", "stderr"), "a") as f:
            f.write("more")
        assert "1/stderr" in g.verify(out, code=1) + run.stderr
        # not enough, then enough: a retry of the retry
        os.remove(sizes)
        again = g.cli("retry", job, "--memory", "250").strip()
        assert len(again) == 64 and again != job
        told = g.job(again)
        assert told["count"] == 2 and told["name"] == "retry of " + job, told
        assert g.cli("wait", again, code=1)
        last = g.cli("retry", again, "--memory", "400", "--name", "at last").strip()
        g.cli("wait", last)
        assert g.job(last)["count"] == 1 and g.job(last)["name"] == "at last"
        rows = rows_of(table(g, job, "--with", again[:12], "--with", last))
        assert [r["state"] for r in rows] == ["valid"] * 4 and not any(r["why"] for r in rows), rows
        assert [(r["label"], r["mib"], r["number"], r["took"]) for r in rows] == [
            ("a", "1", "0", "1"), ("b", "200", "1", "200"), ("c", "2", "2", "2"), ("d", "300", "3", "300")], rows
        assert [r["state"] for r in rows_of(table(g, job, "--with", again))] == ["valid", "valid", "valid", "failed"]
        # a retry is a job like any other: its evidence holds, and its lines say whose tasks they are
        out = g.results(last, "last")
        line = lines_of(os.path.join(out, "results.ndjson"))[0]
        assert (line["index"], line["of"], line["params"]) == (0, 3, {"mib": "300", "label": "d"}), line
        g.verify(out, "--rerun", "1")
        g.cli("retry", last, code=1)
        assert "no task that failed" in run.stderr
        table(g, job, "--with", job, code=2)
        assert "is no retry of" in run.stderr
        no_scratch(g)


def test_what_failed_in_agreement_is_tried_again_only_when_asked_for():
    with one_worker_is_enough() as g:
        odd = compile_static(ODD, g.path("odd"))
        job = g.submit("--range", "4", "--quorum", "1", "--", odd, "{index}")
        g.cli("wait", job, code=1)
        g.cli("retry", job, code=1)
        assert "--all" in run.stderr, run.stderr
        out = g.results(job)
        with open(os.path.join(out, "3", "stderr")) as f:
            assert f.read() == "3 is odd\n"
        rows = rows_of(table(g, job))
        assert [(r["stdout"], r["why"]) for r in rows] == [("0", ""), ("", "exit 3"), ("2", ""), ("", "exit 3")]
        again = g.cli("retry", job, "--all").strip()
        g.cli("wait", again, code=1)
        assert [r["of"] for r in lines_of(os.path.join(g.results(again, "again"), "results.ndjson"))] == [1, 3]
        assert [(r["index"], r["of"]) for r in rows_of(table(g, again))] == [("0", "1"), ("1", "3")]
        assert rows_of(table(g, job, "--with", again)) == rows, "a range's {index} means what it meant"


def test_a_job_with_too_many_failures_is_cancelled_and_its_rest_can_be_tried_again():
    with one_worker_is_enough() as g:
        odd = compile_static(ODD, g.path("odd"))
        job = g.submit("--range", "300", "--quorum", "1", "--max-failures", "2", "--", odd, "{index}")
        g.cli("wait", job, code=1)
        end = g.job(job)
        assert end["state"] == "cancelled" and end["tasks"]["failed"] > 2 and end["tasks"]["cancelled"] > 0, end
        assert end["why"] == "more tasks failed than max_failures", end
        again = g.cli("retry", job, "--max-failures", "300").strip()
        assert "failed in agreement" in run.stderr
        g.cli("wait", again, code=1)
        assert g.job(again)["count"] == end["tasks"]["cancelled"] and g.job(again)["state"] == "done"
        rows = rows_of(table(g, job, "--with", again))
        assert len(rows) == 300
        for i, r in enumerate(rows):
            assert (r["index"], r["stdout"], r["why"]) == (str(i), *(("", "exit 3") if i % 2 else (str(i), ""))), r


def test_of_an_unfinished_job_a_table_has_what_is_final():
    with one_worker_is_enough() as g:
        job = g.submit("--range", "3", "--", say(g), "{index}")  # needs two
        wait_for("one result", lambda: "exited 0" in g.cli("status", job, "--task", "0"))
        assert table(g, job, code=1) == "index,state,stdout,why\r\n"
        assert "0 of 3 tasks are final" in run.stderr
        g.cli("retry", job, code=1)
        assert "is not over" in run.stderr
        no_scratch(g)


def test_who_waits_for_a_job_that_nobody_takes_is_told_why():
    with Grid(workers=0) as g:
        job = g.submit("--range", "1", "--", say(g), "x")
        said = g.cli("status", job)
        assert "waiting: needs 2 independent workers, has 0\n" in said and "no worker has come yet" in said, said
        waiting = subprocess.Popen([program("talkoot"), "wait", job], env=g.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = waiting.stderr.readline().decode()
        assert line == "talkoot: waiting: needs 2 independent workers, has 0; no worker has come yet\n", line
        g.add_worker()
        wait_for("the worker to be counted", lambda: "1 worker is online, 1 can run it" in g.cli("status", job))
        g.add_worker()
        out, err = waiting.communicate(timeout=240)
        assert waiting.returncode == 0 and b"waiting:" not in err, "told once: %r" % err


def test_a_large_table_is_quick_and_an_unknown_word_is_named():
    with Home() as h:
        rows = ['%d,"line\r\n%d",%.3f' % (i, i, i / 7) for i in range(5000)]
        path = h.write("big.csv", "\ufeffid,long name,third\r\n" + "\r\n".join(rows) + "\r\n")
        began = time.monotonic()
        tasks = h.dry("--table", path, "--", h.exe, "{id}", "{long name}{third}")["tasks"]["list"]
        print("5000 rows: %.2f s" % (time.monotonic() - began))
        lines = [json.loads(line)["params"] for line in tasks["blob"]["text"].splitlines()]
        assert tasks["count"] == 5000
        assert lines[4999] == {"id": "4999", "long name": "line\r\n4999", "third": "714.143"}, lines[4999]
        h.no_submit("{idd} is not known here; these are: index, id, long name, third", "--table", path, "--", h.exe, "{idd}")


if __name__ == "__main__":
    main(globals())
