# SPDX-License-Identifier: Apache-2.0
"""grid.py: start real programs on port 0 in a temporary directory, wait for what can be awaited,
and end what was started, by pid. Used by the system tests; holds no test itself."""
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("TALKOOT_BIN", os.path.join(TOP, "build/bin"))
PATIENCE = float(os.environ.get("TALKOOT_PATIENCE", "120"))  # seconds before a wait gives up


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def program(name):
    return os.path.join(BIN, name)


def wait_for(what, check, seconds=None):
    """Ask `check` until it answers something true, and give that back."""
    end = time.monotonic() + (seconds or PATIENCE)
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("waited in vain for: " + what)
        time.sleep(0.02)


class Proc:
    """A long-running program that prints one `ready …` line."""

    def __init__(self, argv, log, env=None):
        self.log = log
        self.err = open(log, "ab")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=self.err, env=env)
        self.pid = self.p.pid
        self.ready = None

    def wait_ready(self):
        line = self.p.stdout.readline().decode().split()
        if not line or line[0] != "ready":
            self.p.wait()
            with open(self.log) as f:
                raise AssertionError("not ready: %r\n%s" % (line, f.read()[-2000:]))
        self.ready = line[1:]
        return self

    def signal(self, which):
        if self.p.poll() is None:
            self.p.send_signal(which)

    def stop(self, seconds=30):
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("pid %d did not stop in %d s" % (self.pid, seconds))

    def kill(self):
        self.signal(signal.SIGKILL)
        self.signal(signal.SIGCONT)
        self.p.wait()

    def close(self):
        self.kill()
        self.p.stdout.close()
        self.err.close()


class Grid:
    """A coordinator and its workers in a temporary directory. Use in a `with`."""

    def __init__(self, workers=0, coordinator_args=(), submitter=True, **worker_options):
        self.dir = tempfile.mkdtemp(prefix="talkoot-test-")
        self.procs = []
        self.workers = []
        self.coordinator_args = list(coordinator_args)
        self.port = self.admin_port = 0
        self.env = dict(os.environ, HOME=self.dir, XDG_CONFIG_HOME=self.path("config"),
                        XDG_DATA_HOME=self.path("data"))
        for name in list(self.env):
            if name.startswith("TALKOOT_") and name != "TALKOOT_BIN":
                del self.env[name]
        try:
            self.start_coordinator()
            if submitter:
                self.allow(self.cli("id").strip().split()[-1])
            for _ in range(workers):
                self.add_worker(**worker_options)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *why):
        if why[0] and why[0] is not Skip:
            self.show_logs()
        self.close()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def close(self):
        for p in reversed(self.procs):
            p.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def show_logs(self):
        for name in sorted(os.listdir(self.dir)):
            if name.endswith(".log"):
                with open(self.path(name), errors="replace") as f:
                    print("--- %s\n%s" % (name, "".join(f.readlines()[-25:])))

    # --- the coordinator
    # --- the coordinator's machine: this one, unless a subclass says another
    def coordinator_listens(self):
        return "127.0.0.1:%d" % self.port

    def at_coordinator(self, argv):
        return argv

    def start_coordinator(self):
        argv = [program("talkoot-coordinator"), "--data", self.path("c"),
                "--listen", self.coordinator_listens(), "--admin", "127.0.0.1:%d" % self.admin_port]
        c = Proc(self.at_coordinator(argv + self.coordinator_args), self.path("coordinator.log"), self.env)
        self.procs.append(c)
        c.wait_ready()
        self.coordinator = c
        self.link, self.admin_url = c.ready[0], c.ready[1].rstrip("/")
        # the same ports when it is started again
        self.port = port_of(self.link)
        self.admin_port = port_of(self.admin_url)
        self.env["TALKOOT_GRID"] = self.link
        return c

    def admin(self, *args):
        return run(self.at_coordinator([program("talkoot-coordinator"), "--data", self.path("c")] + list(args)), self.env)

    def allow(self, key):
        return self.admin("allow", "submitter", key)

    def status(self):
        return get_json(self.admin_url + "/v1/status")

    def job(self, job):
        return get_json(self.admin_url + "/v1/jobs/" + job)

    def db(self, query, *args):
        """Read the coordinator's database file from outside."""
        db = sqlite3.connect("file:%s?mode=ro" % self.path("c", "grid.db"), uri=True, timeout=30)
        try:
            return db.execute(query, args).fetchall()
        finally:
            db.close()

    # --- workers
    def add_worker(self, slots=1, join=None, args=(), name=None, exe=None, listen="127.0.0.1:0"):
        name = name or "w%d" % len(self.workers)
        argv = [exe or program("talkoot-worker"), "--data", self.path(name), "--join", join or self.link,
                "--listen", listen, "--slots", str(slots), "--disk", "1024"]
        w = Proc(argv + list(args), self.path(name + ".log"), self.env)
        w.name = name
        w.argv = argv + list(args)
        self.procs.append(w)
        self.workers.append(w)
        w.wait_ready()
        w.id = w.ready[0]
        return w

    def restart_worker(self, w):
        n = Proc(w.argv, self.path(w.name + ".log"), self.env)
        n.name, n.argv = w.name, w.argv
        self.procs.append(n)
        self.workers[self.workers.index(w)] = n
        n.wait_ready()
        n.id = n.ready[0]
        return n

    # --- a worker's own words
    def worker_status(self, w):
        return json.loads(run([program("talkoot-worker"), "--data", self.path(w.name), "status", "--json"], self.env))

    # --- the CLI
    def cli(self, *args, code=0, stdin=None):
        return run([program("talkoot")] + list(args), self.env, code, stdin, cwd=self.dir)

    def submit(self, *args):
        return self.cli("submit", *args).strip()

    def wait_done(self, job, seconds=None):
        wait_for("job %s to end" % job[:8], lambda: self.job(job)["state"] != "active", seconds)
        return self.job(job)

    def results(self, job, name="out", code=0):
        out = self.path(name)
        self.cli("results", job, "--output", out, code=code)
        return out

    def verify(self, out, *args, code=0):
        """Offline: no grid, no config, no identity."""
        return run([program("talkoot"), "verify", out] + list(args),
                   {"PATH": os.environ["PATH"], "HOME": self.path("nobody")}, code)


def run(argv, env=None, code=0, stdin=None, cwd=None):
    """Run to the end; the exit code must be `code` (None: any). Gives stdout."""
    p = subprocess.run(argv, env=env, cwd=cwd, input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE * 2)
    out = p.stdout.decode(errors="replace")
    if code is not None and p.returncode != code:
        raise AssertionError("%s: exit %d, not %d\n%s%s" % (" ".join(argv), p.returncode, code, out,
                                                            p.stderr.decode(errors="replace")))
    run.stderr = p.stderr.decode(errors="replace")
    run.code = p.returncode
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def log_of(proc):
    with open(proc.log) as f:
        return f.read()


def get_json(url):
    with urllib.request.urlopen(url, timeout=30) as r:
        return json.load(r)


def any_tls():
    """For TLS to whoever answers: who that is is not checked here."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    return ctx


def port_of(link):
    """The port of talkoot://NODE@HOST:PORT/GRID, or of http://HOST:PORT."""
    return int(link.split("/")[2].rsplit(":", 1)[1])


def tls_connect(port):
    """A TLS connection to a grid port."""
    return any_tls().wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30))


def lines_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def compile_static(source, out):
    """Compile C text to a static program."""
    c = out + ".c"
    with open(c, "w") as f:
        f.write(source)
    run(["gcc", "-O1", "-static", "-pthread", "-o", out, c])
    return out


def seed():
    """A seed for the test's own chance, printed so that a failure can be repeated."""
    s = int(os.environ.get("TALKOOT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print("TALKOOT_SEED=%d" % s)
    return random.Random(s)


def main(tests):
    """Run every function of `tests` whose name begins with test_; count; exit."""
    passed = failed = skipped = 0
    only = sys.argv[1:]
    for name, fn in list(tests.items()):
        if not name.startswith("test_") or not callable(fn) or (only and name not in only):
            continue
        began = time.monotonic()
        try:
            fn()
            passed += 1
            print("ok   %s (%.1f s)" % (name, time.monotonic() - began))
        except Skip as why:
            skipped += 1
            print("SKIP %s: %s" % (name, why))
        except BaseException as e:  # noqa: a failing test must not end the others
            if isinstance(e, KeyboardInterrupt):
                raise
            failed += 1
            print("FAIL %s" % name)
            traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(1 if failed or not passed else 0)
