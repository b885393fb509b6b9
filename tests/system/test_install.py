# SPDX-License-Identifier: Apache-2.0
"""`make install` and `make uninstall` into a folder: what is put there, and that all of it goes again."""
import os
import shutil
import stat
import subprocess
import tempfile

from grid import BIN, Skip, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROFILE = "etc/apparmor.d/talkoot-sandbox"


def make(dest, *args):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k not in ("DESTDIR", "PREFIX", "SAN")}
    # what is tested was built already: nothing is to be compiled here
    built = ["-o", "all"]
    r = subprocess.run(["make", "-C", ROOT, *built, "DESTDIR=" + dest, *args], env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
    assert r.returncode == 0, r.stdout
    return r.stdout


def files(top):
    return sorted(os.path.relpath(os.path.join(d, f), top) for d, _, names in os.walk(top) for f in names)


class Installed:
    def __init__(self, prefix):
        self.dir, self.prefix = tempfile.mkdtemp(prefix="talkoot install-"), prefix

    def __enter__(self):
        if os.path.realpath(BIN) != os.path.join(ROOT, "build", "bin"):
            raise Skip("other programs than those of build/bin are tested")
        self.said = make(self.dir, "PREFIX=" + self.prefix, "install")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)


def test_everything_is_put_and_taken_away():
    with Installed("/opt/talkoot") as i:
        there = files(i.dir)
        for name in ("talkoot", "talkoot-coordinator", "talkoot-worker", "talkoot-sandbox", "talkoot-image"):
            assert "opt/talkoot/bin/" + name in there, there
            assert "opt/talkoot/share/man/man1/%s.1" % name in there, there
        assert PROFILE in there, there
        make(i.dir, "PREFIX=/opt/talkoot", "uninstall")
        assert files(i.dir) == [], files(i.dir)


def test_the_profile_names_the_installed_program():
    for prefix in ("/usr/local", "/opt/talkoot"):
        with Installed(prefix) as i:
            assert stat.S_IMODE(os.stat(i.path(PROFILE)).st_mode) == 0o644
            with open(i.path(PROFILE)) as f:
                lines = [line.strip() for line in f if line.strip() and not line.startswith("#")]
            assert lines[0] == "abi <abi/4.0>,", lines
            assert "profile talkoot-sandbox %s/bin/talkoot-sandbox flags=(unconfined) {" % prefix in lines, lines
            assert "userns," in lines and "include if exists <local/talkoot-sandbox>" in lines, lines
            assert not any("@BINDIR@" in line for line in lines), lines


def test_nothing_is_loaded_for_a_package():
    with Installed("/usr") as i:
        assert "loaded" not in i.said and "apparmor_parser" not in i.said, i.said


def test_the_profile_parses():
    parser = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if not parser:
        raise Skip("apparmor_parser is not installed")
    if not os.path.exists("/etc/apparmor.d/abi/4.0"):
        raise Skip("this apparmor_parser is older than abi 4.0")
    with Installed("/usr/local") as i:
        r = subprocess.run([parser, "-Q", "-K", i.path(PROFILE)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           universal_newlines=True, timeout=60)
        assert r.returncode == 0, r.stdout


if __name__ == "__main__":
    main(globals())
