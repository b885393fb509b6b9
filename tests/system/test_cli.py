# SPDX-License-Identifier: Apache-2.0
"""talkoot's own door, without any grid: usage, exit codes, what --dry-run prints, what is refused and how."""
import json
import os
import shutil
import subprocess
import tempfile

from grid import Skip, compile_static, main, program, run

NOWHERE = "talkoot://127.0.0.1:1/" + "ab" * 32
COMMANDS = "submit pack jobs status wait results verify cancel retry workers grid blob keygen id".split()


class Home:
    """An empty home with a static program in it."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="talkoot-cli-")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir}
        self.exe = compile_static("int main(void) { return 0; }", self.path("prog"))
        return self

    def __exit__(self, *why):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def cli(self, *args, code=0, **env):
        return run([program("talkoot")] + list(args), dict(self.env, **env), code, cwd=self.dir)

    def refused(self, says, *args, code=2, **env):
        """Exit `code`, nothing on stdout, one line on stderr that begins with the program and says `says`."""
        out = self.cli(*args, code=code, **env)
        assert out == "", out
        assert run.stderr.startswith("talkoot: ") and run.stderr.count("\n") == 1, run.stderr
        assert says in run.stderr, "%r does not say %r" % (run.stderr, says)

    def dry(self, *args):
        return json.loads(self.cli("submit", "--dry-run", *args))

    def no_submit(self, says, *args):
        self.refused(says, "submit", "--dry-run", *args)


def test_help_and_version_are_on_stdout():
    with Home() as h:
        assert all(c in h.cli("--help") for c in COMMANDS)
        assert h.cli("--version").startswith("talkoot ")
        for c in COMMANDS:
            assert h.cli(c, "--help").startswith("usage: talkoot " + c), c
            assert run.stderr == ""
        text = h.cli("submit", "--help")
        for word in "3600 7200 512 256 64 32 --each --table --max-failures --try".split():
            assert word in text, word


def test_wrong_usage_is_exit_2_and_named():
    with Home() as h:
        h.refused("command", code=2)
        h.refused("nonsense", "nonsense")
        h.refused("--nonsense", "jobs", "--nonsense")
        h.refused("--range", "submit", "--range", "0", "--", h.exe)
        h.refused("usage", "status")
        h.refused("usage", "status", "a", "b")
        h.refused("usage", "verify")
        h.refused("usage", "blob")
        assert "\\x0a" not in run.stderr, run.stderr
        h.refused("--output", "results", "abcdef0123")
        h.refused("no grid", "jobs")
        h.refused("--grid", "jobs", "--grid", "http://example.org")
        h.refused("put, get, torrent or cid", "blob", "push", "x")
        h.refused("sha256", "blob", "get", "abc", "-o", "x")
        h.refused("--grid", "verify", ".", "--grid", "xyz")
        h.refused("usage", "retry")
        h.refused("--memory", "retry", "abcdef0123", "--memory", "0")
        h.refused("--output", "results", "abcdef0123", "--format", "csv", "-o", "a", "-o", "b")
        h.refused("--output", "results", "abcdef0123", "--format", "csv", "-o", "a.csv", "-o", "b.csv")
        h.refused("--with", "results", "abcdef0123", "-o", "a", "--with", "b")
        h.refused("--exact", "results", "abcdef0123", "--format", "ndjson", "--exact")
        h.refused("--json", "results", "abcdef0123", "--format", "csv", "--json")
        h.refused("--format", "results", "abcdef0123", "--format", "tsv")


def test_an_unreachable_grid_is_exit_3():
    with Home() as h:
        for args in (["jobs"], ["status", "abcdef0123"], ["wait", "abcdef0123"], ["cancel", "ab" * 32],
                     ["retry", "ab" * 32], ["results", "ab" * 32, "--format", "csv"], ["workers"],
                     ["grid"], ["results", "abcdef0123", "-o", "out"], ["submit", "--", h.exe],
                     ["blob", "put", h.exe], ["blob", "get", "sha256:" + "0" * 64, "-o", "x"]):
            h.refused("127.0.0.1:1", *args, code=3, TALKOOT_GRID=NOWHERE)


def test_where_the_grid_is_said():
    with Home() as h:
        os.makedirs(h.path(".config", "talkoot"))
        h.write(".config/talkoot/config", "# mine\ngrid = %s\n" % NOWHERE.replace(":1/", ":2/"))
        h.refused("127.0.0.1:2", "jobs", code=3)
        h.refused("127.0.0.1:1", "jobs", code=3, TALKOOT_GRID=NOWHERE)
        h.refused("127.0.0.1:3", "jobs", "--grid", NOWHERE.replace(":1/", ":3/"), code=3, TALKOOT_GRID=NOWHERE)
        # before the command too
        h.refused("127.0.0.1:3", "--grid", NOWHERE.replace(":1/", ":3/"), "jobs", code=3, TALKOOT_GRID=NOWHERE)
        h.refused("127.0.0.1:3", "--json", "--grid=" + NOWHERE.replace(":1/", ":3/"), "--log-level", "info", "jobs", code=3)
        h.refused("--nope", "--nope", "x", "jobs")
        h.refused("--grid", "--grid", NOWHERE)
        h.write(".config/talkoot/config", "grit = x\n")
        h.refused("grit", "jobs")


def test_identities():
    with Home() as h:
        first = h.cli("id").strip()
        assert len(first) == 64 and h.cli("id").strip() == first
        path = h.path(".local", "share", "talkoot", "identity.key")
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
        h.refused("there already", "keygen", code=1)
        other = h.cli("keygen", "sub/other.key").strip()
        assert other != first and h.cli("id", "--identity", "sub/other.key").strip() == other
        assert h.cli("id", TALKOOT_IDENTITY="sub/other.key").strip() == other
        os.chmod(path, 0o644)
        h.refused("identity.key", "id", code=4)


def test_a_key_that_cannot_be_kept_is_told_where_else():
    with Home() as h:
        h.refused("--identity FILE keeps it elsewhere", "id", code=1, HOME=h.write("no-folder", ""))


def test_a_full_disk_here_is_no_refusal_of_anybody():
    with Home() as h:
        full = 'mount -t tmpfs -o size=4k none "$1" && head -c 4096 /dev/zero >"$1/fill" && exec "$2" --identity "$1/key" id'
        p = subprocess.run(["unshare", "-rm", "sh", "-c", full, "sh", h.dir, program("talkoot")], capture_output=True, text=True)
        if "talkoot: " not in p.stderr:
            raise Skip("no tmpfs of our own here: " + p.stderr.strip())
        assert p.returncode == 1 and "No space left on device" in p.stderr, p


def test_dry_run_prints_what_submit_takes_back():
    with Home() as h:
        a, b = h.write("a.txt", "one"), h.write("b.txt", "two")
        m = h.dry("--range", "5", "--name", "n", "--quorum", "3", "--cpu", "7", "--", h.exe, "{index}", "{}")
        assert m["tasks"] == {"range": {"count": 5}} and m["name"] == "n" and m["assurance"] == "quorum:3"
        assert m["max_results"] == 7 and m["limits"]["cpu_s"] == 7 and m["limits"]["wall_s"] == 7200
        assert m["profile"] == "compute" and m["args"] == ["{index}", "{}"] and m["compare"] == "exact"
        assert m["programs"][0]["name"] == "prog" and m["deterministic"] is True
        for args in (["--range", "5"], ["--each", a, b], ["--lines", a], ["--param", "k=1..3"],
                     ["--file", "x=" + a, "--outputs", "*.txt"]):
            text = h.cli("submit", "--dry-run", *args, "--", h.exe)
            h.write("m.json", text)
            assert h.cli("submit", "--dry-run", "m.json") == text, args
        h.write("m.json", json.dumps({"v": 9, "author": "x", "programs": [{"blob": {"path": h.exe}}]}))
        again = h.dry("m.json")
        assert again["tasks"] == {"range": {"count": 1}} and again["limits"]["memory_mib"] == 512 and "v" not in again
        h.write("b.txt", "changed")
        h.write("m.json", h.cli("submit", "--dry-run", "--file", "x=" + b, "--", h.exe))
        h.write("b.txt", "changed again")
        h.no_submit("b.txt", "m.json")


def test_sources_of_tasks():
    with Home() as h:
        assert h.dry("--", h.exe)["tasks"] == {"range": {"count": 1}}
        product = h.dry("--param", "a=1,2", "--param", "b=0..1:0.5", "--", h.exe, "{a}", "{b}")["tasks"]["product"]
        assert [p["values"] for p in product] == [["1", "2"], ["0.0", "0.5", "1.0"]]
        table = h.write("t.csv", 'x,"long name"\r\n1,"a ""q"", b"\r\n2,"two\nlines"\r\n')
        tasks = h.dry("--table", table, "--", h.exe, "{x}")["tasks"]["list"]
        rows = [json.loads(line) for line in tasks["blob"]["text"].splitlines()]
        assert tasks["count"] == 2 and rows[0]["params"] == {"x": "1", "long name": 'a "q", b'}
        assert rows[1]["params"]["long name"] == "two\nlines"
        lines = h.write("lines", "first\n\nlast")
        tasks = h.dry("--lines", lines, "--", h.exe, "{line}")["tasks"]["list"]
        assert [json.loads(x)["line"] for x in tasks["blob"]["text"].splitlines()] == ["first", "", "last"]
        tasks = h.dry("--each", lines, table, "--", h.exe, "{name}")["tasks"]["list"]
        assert [json.loads(x)["name"] for x in tasks["blob"]["text"].splitlines()] == ["lines", "t.csv"]


def test_what_submit_refuses():
    with Home() as h:
        text = h.write("text", "a\n")
        h.no_submit("--range and --lines", "--range", "2", "--lines", text, "--", h.exe)
        h.no_submit("--each", "--each", "--", h.exe)
        h.no_submit("{line}", "--range", "2", "--", h.exe, "{line}")
        h.no_submit("{beta}", "--param", "alpha=1", "--", h.exe, "{beta}")
        h.no_submit("missing", "--each", "missing", "--", h.exe)
        h.no_submit("missing", "--", "missing")
        h.no_submit("-static", "--", "/bin/ls")
        h.no_submit("script", "--", h.write("script", "#!/bin/sh\n"))
        h.no_submit("not a program", "--", text)
        h.no_submit("compute", "--profile", "compute", "--file", "x=" + text, "--", h.exe)
        h.no_submit("NAME=PATH", "--file", text, "--", h.exe)
        h.no_submit("name", "--file", "../x=" + text, "--", h.exe)
        h.no_submit("--quorum and --assurance", "--quorum", "2", "--assurance", "quorum:2", "--", h.exe)
        h.no_submit("quorum:99", "--assurance", "quorum:99", "--", h.exe)
        for glob in ("", "/abs", "../up", "a/../b"):
            h.no_submit("--outputs", "--outputs", glob, "--", h.exe)
        h.no_submit("a/b", "--file", "a/b=" + text, "--", h.exe)
        h.no_submit("1048576", "--param", "a=1..2000", "--param", "b=1..2000", "--", h.exe)
        h.no_submit("--max-results", "--quorum", "5", "--max-results", "2", "--", h.exe)
        h.no_submit("--output", "-o", "out", "--", h.exe)
        h.no_submit("line 2", "--table", h.write("t", "a,b\n1\n"), "--", h.exe)
        h.no_submit("UTF-8", "--lines", h.write("l", b"\xff\n"), "--", h.exe)
        h.no_submit("no manifest", text)
        h.no_submit("which program", "--range", "2")
        h.no_submit("which program", "--range", "2", "--")
        pipe = h.path("pipe")
        os.mkfifo(pipe)  # nobody ever writes to it
        h.no_submit("pipe", "--each", pipe, "--", h.exe)
        h.no_submit("pipe", "--file", "x=" + pipe, "--", h.exe)
        h.no_submit("pipe", "--", pipe)
        h.no_submit("pipe", "--image", pipe, "--", "/bin/true")
        foreign = bytearray(open(h.exe, "rb").read())
        foreign[18:20] = b"\xb7\x00"  # e_machine: aarch64
        h.no_submit("aarch64", "--", h.write("foreign", bytes(foreign)))


def test_usual_mistakes_are_told_what_to_do():
    with Home() as h:
        h.write("sim.py", "print(1)\n")
        h.no_submit("talkoot pack -o IMG -- python3 ARG...", "--", "python3", "sim.py")
        h.no_submit("talkoot pack -o IMG -- INTERPRETER sim.py", "--", "sim.py")
        h.no_submit('--memory: "2G" is not a whole number from 1 to 4194304 (MiB)', "--memory", "2G", "--", h.exe)
        for name in ("t.txt", "t.CSV", "t.ndjson"):
            h.refused("the table's name ends in .csv; if a folder is meant: %s/" % name, "results", "ab" * 32, "--format", "csv", "-o", name)
        h.refused("no grid", "results", "ab" * 32, "--format", "csv", "-o", "t.txt/")
        h.refused("no grid", "results", "ab" * 32, "--format", "csv", "-o", "run-0.5")
        h.no_submit("argument x{indx}: {indx} is not known here; these are: index", "--", h.exe, "x{indx}")
        h.no_submit("program python3-nowhere: there is no such file\n", "--", "python3-nowhere")
        h.no_submit("program ./python3: there is no such file\n", "--", "./python3")
        os.mkdir(h.path("bin"))
        shutil.copy(h.exe, h.path("bin", "tool"))
        h.refused("if %s is meant, say so" % h.path("bin", "tool"), "submit", "--dry-run", "--", "tool", PATH=h.path("bin"))


def test_names_that_are_no_text_are_refused_not_lost():
    with Home() as h:
        text = h.write("text", "a\n")
        odd = os.fsencode(h.dir) + b"/b\xff"
        for name in (odd, os.fsencode(h.path("two words"))):
            shutil.copy(h.exe, name)
            h.no_submit("program ", "--", name)
        h.no_submit("--file", "--file", b"n\xff=" + text.encode(), "--", h.exe)
        h.no_submit("--outputs", "--outputs", b"\xff*", "--", h.exe)
        h.no_submit("--name", "--name", b"\xff", "--", h.exe)
        h.no_submit("--param", "--param", b"k=\xff", "--", h.exe)
        h.no_submit("--each", "--each", odd, "--", h.exe)
        h.no_submit("argument 1", "--", h.exe, b"\xff")
        with open(odd, "ab") as f:
            f.write(b"other bytes")
        h.no_submit("--dry-run", "--file", b"n=" + odd, "--", h.exe)
        h.no_submit("line 2", "--lines", h.write("l", b"a\nb\xff\n"), "--", h.exe, "{line}")
        h.no_submit("line 2", "--table", h.write("t", b"a\nb\xff\n"), "--", h.exe, "{a}")


def test_options_beside_a_manifest_are_refused_not_ignored():
    with Home() as h:
        h.write("m.json", h.cli("submit", "--dry-run", "--range", "5", "--", h.exe))
        assert h.dry("m.json")["tasks"]["range"]["count"] == 5
        for args in (["--range", "3"], ["--quorum", "3"], ["--name", "x"], ["--file", "a=b"], ["--param", "a=b"],
                     ["--each", "x", "--try"]):
            h.no_submit(args[0], "m.json", *args)
        h.refused("--range", "submit", "--dry-run", "m.json", TALKOOT_RANGE="3")


def test_options_come_from_files_and_the_environment_too():
    with Home() as h:
        config = h.write("config", "range = 2\n# a comment\noutputs = *.a\ndry-run = yes\nquorum = 3\n")

        def said(*args, **env):
            return json.loads(h.cli("submit", "--config", config, *args, "--", h.exe, **env))
        m = said()
        assert (m["tasks"]["range"]["count"], m["outputs"], m["assurance"]) == (2, ["*.a"], "quorum:3")
        m = said(TALKOOT_RANGE="4", TALKOOT_OUTPUTS="*.b")
        assert (m["tasks"]["range"]["count"], m["outputs"], m["assurance"]) == (4, ["*.b"], "quorum:3")
        m = said("--range", "6", "--outputs", "*.c", TALKOOT_RANGE="4", TALKOOT_OUTPUTS="*.b")
        assert (m["tasks"]["range"]["count"], m["outputs"], m["assurance"]) == (6, ["*.c"], "quorum:3")
        h.refused("TALKOOT_RANGE", "submit", "--", h.exe, TALKOOT_RANGE="x")
        h.refused("rnge", "submit", "--config", h.write("c2", "rnge = 2\n"), "--", h.exe)
        h.refused("TALKOOT_JSON", "jobs", TALKOOT_JSON="1")


def test_what_comes_later_is_named():
    with Home() as h:
        for args in (["--assurance", "audit"], ["--assurance", "trusted"], ["--assurance", "checker"]):
            h.no_submit("not there yet", *args, "--", h.exe)
            assert args[0] in run.stderr


def test_verify_needs_nothing_and_says_json():
    with Home() as h:
        h.refused("grid.json: there is none in .: give a folder that `talkoot results JOB --output DIR` wrote", "verify", ".", code=1)
        said = json.loads(h.cli("verify", ".", "--json", code=1))
        assert said["ok"] is False and said["faults"][0]["what"] == "grid.json"
        assert not os.path.exists(h.path(".local")) and not os.path.exists(h.path(".config"))


def test_nothing_is_written_where_nobody_reads():
    with Home() as h:
        p = subprocess.run([program("talkoot"), "--help"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
        assert p.returncode in (0, 1)


if __name__ == "__main__":
    main(globals())
