# SPDX-License-Identifier: Apache-2.0
"""The documents are true: the README's quick starts and protocol.md's openssl check are run as they stand."""
import os
import re
import signal
import subprocess
import tempfile
import shutil

from grid import BIN, Grid, TOP, compile_static, free_port, lines_of, main, program, run, wait_for
import hashlib


def blocks(document, language):
    with open(os.path.join(TOP, document)) as f:
        return re.findall(r"^```%s\n(.*?)^```" % language, f.read(), re.S | re.M)


def test_a_result_is_checked_by_openssl_alone():
    script = [b for b in blocks("docs/protocol.md", "sh") if "pkeyutl" in b][0]
    with Grid(workers=2) as g:
        exe = compile_static('#include <stdio.h>\nint main(void) { puts("checked"); return 0; }', g.path("p"))
        job = g.submit("--range", "2", "--", exe)
        g.wait_done(job)
        out = g.results(job)
        lines = len(open(os.path.join(out, "attestations.ndjson")).readlines())
        for n in range(1, lines + 1):
            said = run(["sh", "-euc", script.replace("head -n 1 attestations.ndjson",
                                                    "sed -n %dp attestations.ndjson" % n)], cwd=out)
            assert "Signature Verified Successfully" in said, said
        with open(os.path.join(out, "payload"), "rb") as f:
            payload = f.read()
        with open(os.path.join(out, "0", "stdout"), "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest().encode() in payload
        # the manifest's signature, and the job id
        said = run(["sh", "-euc", script.replace("head -n 1 attestations.ndjson", "cat job.json")], cwd=out)
        assert "Signature Verified Successfully" in said
        assert job in run(["openssl", "sha256", "payload"], cwd=out)
        # one flipped byte of the payload must fail
        flipped = script.replace("openssl pkeyutl", "printf x >>signed; openssl pkeyutl")
        run(["sh", "-euc", flipped], cwd=out, code=1)


def test_a_backup_taken_as_operating_md_says_while_it_serves_is_the_grid():
    with Grid(workers=2) as g:
        exe = compile_static('#include <stdio.h>\nint main(void) { puts("kept"); return 0; }', g.path("p"))
        job = g.submit("--range", "3", "--", exe)
        g.wait_done(job)
        copy = g.path("copy")
        os.mkdir(copy, 0o700)
        run(["sqlite3", g.path("c", "grid.db"), '.backup "%s"' % os.path.join(copy, "grid.db")])
        shutil.copytree(g.path("c", "blobs"), os.path.join(copy, "blobs"))
        shutil.copy2(g.path("c", "identity.key"), copy)
        for p in list(g.procs):
            p.stop()
        os.rename(g.path("c"), g.path("lost"))
        os.rename(copy, g.path("c"))
        link = g.link
        g.start_coordinator()
        assert g.link == link and g.job(job)["tasks"]["valid"] == 3
        g.verify(g.results(job))


def test_the_protocol_names_every_route_and_no_other():
    with open(os.path.join(TOP, "coordinator/routes.c")) as f:
        table = f.read().split("grid_routes[] = {")[1].split("};")[0]
    served = {(m, p.replace("*", "ID")) for m, p in re.findall(r'\{ "(\w+)", "([^"]+)"', table)}
    with open(os.path.join(TOP, "docs/protocol.md")) as f:
        text = f.read().split("\n## 2. ")[1].split("\n### 2.1 ")[0]
    told, asked = set(), re.findall(r"^\| (`.*?`) \|", text, re.M)
    for cell in asked:
        for one in re.findall(r"`([^`]+)`", cell):
            methods, path = one.split()[0].split("/") if " " in one else [one], one.split()[-1]
            if not path.startswith("/"):  # `HEAD`/`PATCH /v1/…`: the path stands with the last
                path = re.findall(r"(/v1\S+?)[`?]", cell)[-1]
            told.update((m, path.split("?")[0].replace("sha256:HEX", "ID")) for m in methods)
    assert told == served, (told - served, served - told)


def test_the_quick_starts_of_the_readme_run_as_they_stand():
    """Every `$ ` line of its console blocks, in order, in one shell in an empty home; only the ports differ."""
    commands = []
    for block in blocks("README.md", "console"):
        for line in block.splitlines():
            if line.startswith("$ ") and not line.startswith("$ make") and not line.startswith("$ git"):
                commands.append(line[2:])
            elif line.startswith("> ") and commands:
                commands[-1] += "\n" + line[2:]
    assert len(commands) > 8, commands
    home = tempfile.mkdtemp(prefix="talkoot-readme-")
    text = "set -e\n"
    for c in commands:
        quoted = c.replace("'", "'\\''")
        text += "echo '$ %s'\n%s\n" % (quoted, c)
        if c.endswith("&"):
            text += "pids=\"$pids $!\"\n" + await_ready(c)
    text = text.replace("7070", str(free_port())).replace("7071", str(free_port()))
    text = "trap 'kill $pids; wait' EXIT\n" + text
    os.chmod(home, 0o711)  # root's boxes are nobody's, who must get to the workers' images
    # Debian's python3 has numpy; another may be before it
    env = {"HOME": home, "PATH": BIN + ":/usr/bin:/bin:" + os.environ["PATH"], "BIN": BIN, "TOP": TOP}
    p = subprocess.Popen(["bash", "-c", text], cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, start_new_session=True)
    try:
        said = p.communicate(timeout=240)[0].decode(errors="replace")
    finally:
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()
        shutil.rmtree(home, ignore_errors=True)
    assert p.returncode == 0, "exit %s\n%s" % (p.returncode, said[-4000:])


def await_ready(command):
    """Shell text that waits until what `command` starts is ready."""
    data = re.search(r"--data (\S+)", command).group(1)
    if command.startswith("talkoot-coordinator"):
        return "for i in $(seq 300); do [ -s %s/grid.link ] && break; sleep 0.1; done\n" % data
    return "for i in $(seq 300); do talkoot-worker --data %s status >/dev/null 2>&1 && break; sleep 0.1; done\n" % data


if __name__ == "__main__":
    main(globals())
