#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_image.py: images taken apart, laid over each other and planted, as they are used: split and flatten in the
box, plant beside a folder that nobody may touch. Then a hostile set: each archive is refused with the entry named,
or comes to nothing outside the folder; limits of the box and rlimits are the judges, never a clock."""
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile

from grid import Skip, main, program

MTIME = 1600000000
CPU_S, MEMORY_MIB, OUTPUT_MIB = 60, 1024, 64
ENTRIES_MAX = 262144


# --- making archives ------------------------------------------------------------------------------------------------

def entry(name, kind="f", data=b"", mode=None, **more):
    """A TarInfo and its data; kinds: f(ile) d(irectory) l(ink) h(ard link) c b p."""
    i = tarfile.TarInfo(name)
    i.mtime = MTIME
    i.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
              "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}[kind]
    i.mode = mode if mode is not None else 0o755 if kind == "d" else 0o644
    if kind in "lh":
        i.linkname = data
    for k, v in more.items():
        setattr(i, k, v)
    if kind == "f":
        i.size = len(data)
    return i, data if kind == "f" else None


def tar(*entries, format=tarfile.PAX_FORMAT):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as t:
        for e in entries:
            i, data = entry(*e) if isinstance(e, tuple) and isinstance(e[0], str) else e
            t.addfile(i, io.BytesIO(data) if data is not None else None)
    return b.getvalue()


def block(name, size=0, kind=b"0", link=b"", magic=b"ustar\0" b"00", prefix=b"", raw_size=None, checksum=None):
    """One header, made by hand, as wrong as it is asked to be."""
    raw_size = raw_size if raw_size is not None else b"%011o\0" % size
    h = bytearray(name[:100].ljust(100, b"\0") + b"0000644\0" b"0000000\0" b"0000000\0" + raw_size + b"00000000000\0"
                  + b" " * 8 + kind + link[:100].ljust(100, b"\0") + magic + b"\0" * 64 + b"0000000\0" b"0000000\0"
                  + prefix.ljust(155, b"\0") + b"\0" * 12)
    assert len(h) == 512
    h[148:156] = checksum or b"%06o\0 " % sum(h)
    return bytes(h)


def pad(data):
    return data + b"\0" * (-len(data) % 512)


END = b"\0" * 1024


def pax(**words):
    """A pax header of these keywords (bytes; '__' stands for '.')."""
    body = b""
    for k, v in words.items():
        line = b" %s=%s\n" % (k.replace("__", ".").encode(), v)
        n = len(line) + 1
        while len(b"%d" % n) + len(line) != n:
            n += 1
        body += b"%d" % n + line
    return block(b"pax", len(body), b"x") + pad(body)


def old_sparse(name, real, stored, stored_size=None):
    """GNU's old sparse header: `real` bytes, of which `stored` stand in the archive, at the end."""
    n = stored_size or len(stored)
    h = bytearray(block(name, n, b"S", magic=b"ustar  \0"))
    h[386:398] = b"%011o\0" % max(0, real - n)
    h[398:410] = b"%011o\0" % n
    h[482] = 0
    h[483:495] = b"\x80\0\0\0" + struct.pack(">q", real)
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h) + pad(stored)


def gz_of(chunks):
    b = io.BytesIO()
    with gzip.GzipFile(fileobj=b, mode="wb", compresslevel=1, mtime=0) as g:
        for c in chunks:
            g.write(c)
    return b.getvalue()


def by_command(command, data):
    if not shutil.which(command):
        raise Skip("there is no `%s` command here" % command)
    return subprocess.run([command, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Oci:
    """An OCI image layout; what it says can be bent before it is written."""

    def __init__(self, layers, config=None, types=None):
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.config = {"architecture": "amd64", "os": "linux", "config": config or {},
                       "rootfs": {"type": "layers", "diff_ids": [digest(d) for d in layers]}}
        types = types or ["application/vnd.oci.image.layer.v1.tar"] * len(layers)
        self.manifest = {"schemaVersion": 2, "config": None,
                         "layers": [dict(self.blob(d), mediaType=t) for d, t in zip(layers, types)]}

    def blob(self, data):
        self.files["blobs/sha256/" + digest(data)[7:]] = data
        return {"digest": digest(data), "size": len(data)}

    def json(self, value):
        return self.blob(json.dumps(value).encode())

    def descriptor(self, architecture="amd64", **more):
        self.config["architecture"] = architecture
        self.manifest["config"] = dict(self.json(self.config), mediaType="application/vnd.oci.image.config.v1+json")
        d = dict(self.json(self.manifest), mediaType="application/vnd.oci.image.manifest.v1+json",
                 platform={"os": "linux", "architecture": architecture})
        return dict(d, **more)

    def tar(self, index=None):
        files = dict(self.files) if index else None
        index = index or {"schemaVersion": 2, "manifests": [self.descriptor()]}
        files = dict(files or self.files)
        if "index.json" not in files:
            files["index.json"] = json.dumps(index).encode()
        return tar(*[(n, "f", d) for n, d in files.items()])


def docker(layers, config=None, manifest=None):
    """What `docker save` wrote before it wrote OCI layouts too: a repeated layer is a link to the first."""
    entries, names, first = [], [], {}
    for n, data in enumerate(layers):
        name = "%d/layer.tar" % n
        names.append(name)
        if data in first:
            entries.append((name, "l", "../" + first[data]))
        else:
            entries.append((name, "f", data))
            first.setdefault(data, name)
    c = {"architecture": "amd64", "os": "linux", "config": config or {}}
    m = manifest if manifest is not None else [{"Config": "c.json", "RepoTags": ["a:b"], "Layers": names}]
    return tar(*entries, ("c.json", "f", json.dumps(c).encode()), ("manifest.json", "f", json.dumps(m).encode()))


def podman(layers, config):
    """What `podman save` writes: layers by their digests, and, for readers of old, a folder each whose layer.tar is a link."""
    made = json.dumps({"architecture": "amd64", "os": "linux", "config": config}).encode()
    entries = [(digest(d)[7:] + ".tar", "f", d) for d in dict.fromkeys(layers)] + [(digest(made)[7:] + ".json", "f", made)]
    for n, d in enumerate(layers):
        entries += [("%064x/layer.tar" % n, "l", "../" + digest(d)[7:] + ".tar"), ("%064x/VERSION" % n, "f", b"1.0"),
                    ("%064x/json" % n, "f", b'{"id":"x"}')]
    return tar(*entries, ("manifest.json", "f", json.dumps([{"Config": digest(made)[7:] + ".json", "RepoTags": ["me:1"], "Layers": [
        digest(d)[7:] + ".tar" for d in layers]}]).encode()), ("repositories", "f", b'{"me":{"1":"x"}}'))


def docker_since_25(layers, config):
    """What `docker save` writes now: an OCI layout with folders of their own, and a manifest.json beside that names its blobs."""
    o = Oci(layers, config)
    index = {"schemaVersion": 2, "manifests": [o.descriptor()]}
    old = [{"Config": "blobs/sha256/" + o.manifest["config"]["digest"][7:], "RepoTags": ["me:1"],
            "Layers": ["blobs/sha256/" + digest(d)[7:] for d in layers]}]
    o.files.update({"index.json": json.dumps(index).encode(), "manifest.json": json.dumps(old).encode(),
                    "repositories": b'{"me":{"1":"x"}}'})
    return tar(("blobs", "d"), ("blobs/sha256", "d"), *[(n, "f", d) for n, d in o.files.items()])


# --- running the three steps ------------------------------------------------------------------------------------------

class Room:
    """A temporary folder: where trees go, and a canary beside them."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="talkoot-image-")
        os.chmod(self.dir, 0o755)
        self.n = 0
        self.canary = os.path.join(self.dir, "canary")
        os.mkdir(self.canary)
        with open(os.path.join(self.canary, "bird"), "w") as f:
            f.write("sings")
        os.symlink("bird", os.path.join(self.canary, "link"))
        self.before = self.look(self.canary)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def path(self, name=""):
        self.n += 1
        return os.path.join(self.dir, "%d%s" % (self.n, name))

    def write(self, data):
        path = self.path()
        with open(path, "wb") as f:
            f.write(data)
        return path

    def look(self, top):
        """Everything below: names, kinds, modes, links, times of change, bytes."""
        seen = {}
        for folder, dirs, files in os.walk(os.fsencode(top)):
            for name in [b""] + dirs + files:
                p = os.path.join(folder, name)
                s = os.lstat(p)
                what = os.readlink(p) if stat.S_ISLNK(s.st_mode) else None
                if stat.S_ISREG(s.st_mode):
                    with open(p, "rb") as f:
                        what = f.read()
                seen[p] = (s.st_mode, s.st_uid, s.st_nlink, s.st_mtime_ns, s.st_ctime_ns, what)
        return seen

    def boxed(self, options, *argv, output_mib=OUTPUT_MIB):
        """Run talkoot-image in the box: exit, standard output (a file), standard error."""
        out, report = self.path(), self.path()
        with open(out, "wb") as f:
            p = subprocess.run([program("talkoot-sandbox"), "--profile", "files", *options, "--memory", str(MEMORY_MIB),
                                "--cpu", str(CPU_S), "--disk", "1", "--processes", "1", "--max-output", str(output_mib),
                                "--report", report, "--", program("talkoot-image"), *argv],
                               stdout=f, stderr=subprocess.PIPE)
        with open(report) as f:
            r = json.load(f)
        assert r["reason"] == "exited", (r, p.stderr)
        return p.returncode, out, p.stderr.decode()

    def split(self, image, *options, **more):
        return self.boxed(["--stdin", self.write(image)], "split", *options, **more)

    def flatten(self, layers, *options, **more):
        ins = [w for n, data in enumerate(layers) for w in ("--in", "layer-%d=%s" % (n, self.write(data)))]
        return self.boxed(ins, "flatten", *options, *["/in/layer-%d" % n for n in range(len(layers))], **more)

    def plant(self, stream, *options):
        """Not boxed: as worker and CLI do it, with as little as it needs."""
        target = self.path("-tree")

        def limits():
            resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
            resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_MIB << 20, OUTPUT_MIB << 20))
        with open(stream, "rb") as f:
            p = subprocess.run([program("talkoot-image"), "plant", *options, target], stdin=f, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=None if "asan" in program("") else limits)
        assert p.stdout == b""
        return p.returncode, target, p.stderr.decode()

    def tree(self, layers, *options):
        """The planted tree of layers: {path: (kind, mode, content)}; everything must succeed."""
        code, stream, said = self.flatten(layers, *options)
        assert code == 0, said
        code, target, said = self.plant(stream)
        assert code == 0, said
        return read_tree(target)

    def apart(self, image, *options):
        """image.json and the layers of an image; everything must succeed."""
        code, stream, said = self.split(image, *options)
        assert code == 0, said
        code, target, said = self.plant(stream)
        assert code == 0, said
        with open(os.path.join(target, "image.json")) as f:
            config = json.load(f)
        layers = []
        for n in range(config["layers"]):
            with open(os.path.join(target, "layer-%d" % n), "rb") as f:
                layers.append(f.read())
        assert len(os.listdir(target)) == 1 + config["layers"]
        return config, layers

    def refused(self, got, *words):
        """One sentence with these words, and a stream that cannot be planted; the canary sings."""
        code, stream, said = got
        assert code == 1, (code, said)
        last = said.splitlines()[-1]
        assert last.startswith("talkoot-image: "), said
        assert last.isascii() and last.isprintable(), last
        for w in words:
            assert w in last, (w, said)
        code, target, said = self.plant(stream)
        assert code == 1, "a stream of what was refused could be planted: " + said
        assert self.look(self.canary) == self.before


def read_tree(top):
    found = {}
    top = os.fsencode(top)
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(folder, name)
            s = os.lstat(p)
            key = os.fsdecode(p[len(top) + 1:])
            if stat.S_ISLNK(s.st_mode):
                found[key] = ("l", os.fsdecode(os.readlink(p)))
            elif stat.S_ISDIR(s.st_mode):
                assert not s.st_mode & 0o7000, oct(s.st_mode)
                found[key] = ("d",)
            else:
                assert stat.S_ISREG(s.st_mode), p
                assert stat.S_IMODE(s.st_mode) in (0o444, 0o555), oct(s.st_mode)
                with open(p, "rb") as f:
                    found[key] = ("f", f.read(), stat.S_IMODE(s.st_mode))
    return found


class Each:
    """Runs each case of a table and tells of all that fail."""

    def __init__(self):
        self.failed = []

    def case(self, name):
        self.name = name
        return self

    def __enter__(self):
        pass

    def __exit__(self, kind, e, _):
        if kind is AssertionError:
            self.failed.append("%s: %s" % (self.name, e))
        return kind is AssertionError

    def end(self):
        assert not self.failed, "\n".join(self.failed)


def f(data, mode=0o444):
    return ("f", data, mode)


BASE = tar(("./", "d"), ("./bin", "d"), ("./bin/sh", "f", b"#!sh" * 5000, 0o755), ("./etc", "d", b"", 0o700),
           ("./etc/passwd", "f", b"root"), ("lib", "l", "usr/lib"), ("usr/lib/libc", "f", b"libc"),
           ("/opt/a/old", "f", b"old"), ("opt/a/new", "f", b"new"), ("tmp", "d", b"", 0o1777))
UPPER = tar(("etc/.wh.passwd",), ("opt/a/.wh..wh..opq",), ("opt/a/only", "f", b"only"), ("bin/ash", "h", "bin/sh"),
            ("usr/lib/libm", "l", "libc"))
BOTH = {"bin": ("d",), "bin/sh": f(b"#!sh" * 5000, 0o555), "bin/ash": f(b"#!sh" * 5000, 0o555), "etc": ("d",),
        "lib": ("l", "usr/lib"), "usr": ("d",), "usr/lib": ("d",), "usr/lib/libc": f(b"libc"),
        "usr/lib/libm": ("l", "libc"), "opt": ("d",), "opt/a": ("d",), "opt/a/only": f(b"only"), "tmp": ("d",)}
CONFIG = {"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "id"], "Env": ["PATH=/bin", "A=\u00e4"], "WorkingDir": "/opt/"}


def test_an_oci_layout_comes_apart_and_its_layers_make_the_tree():
    with Room() as r:
        for upper, name in ((UPPER, "tar"), (gzip.compress(UPPER), "tar+gzip"), (by_command("zstd", UPPER), "tar+zstd")):
            kinds = ["application/vnd.oci.image.layer.v1." + k for k in ("tar", name)]
            config, layers = r.apart(Oci([BASE, upper], CONFIG, kinds).tar())
            assert layers == [BASE, upper]
            assert config == {"entrypoint": ["/bin/sh"], "cmd": ["-c", "id"], "env": ["PATH=/bin", "A=\u00e4"],
                              "workdir": "/opt", "layers": 2, "architecture": "amd64", "os": "linux"}
            assert r.tree(layers) == BOTH


def test_a_docker_archive_comes_apart_with_a_layer_twice():
    with Room() as r:
        config, layers = r.apart(docker([BASE, UPPER, BASE], CONFIG))
        assert layers == [BASE, UPPER, BASE] and config["cmd"] == ["-c", "id"]
        assert "etc/passwd" in r.tree(layers)


def test_what_podman_saves_and_what_docker_saves_now_come_apart():
    with Room() as r:
        for save in podman, docker_since_25:
            config, layers = r.apart(save([BASE, UPPER, BASE], CONFIG))
            assert layers == [BASE, UPPER, BASE] and config["cmd"] == ["-c", "id"], save
            assert "etc/passwd" in r.tree(layers)


def test_a_plain_tar_is_one_layer_with_an_empty_configuration():
    with Room() as r:
        for image in (BASE, gzip.compress(BASE), by_command("zstd", BASE), by_command("xz", BASE),
                      by_command("bzip2", BASE)):
            config, layers = r.apart(image)
            assert layers == [image]
            assert (config["entrypoint"], config["cmd"], config["env"], config["workdir"]) == ([], [], [], "/")
            assert r.tree(layers)["usr/lib/libc"] == f(b"libc")


def test_a_compressed_archive_of_an_image_gives_the_same():
    with Room() as r:
        image = Oci([BASE, UPPER], CONFIG).tar()
        plain = r.apart(image)
        for packed in (gzip.compress(image), by_command("zstd", image), by_command("xz", image)):
            assert r.apart(packed) == plain


def test_of_several_platforms_one_is_chosen():
    with Room() as r:
        o = Oci([BASE])
        manifests = []
        for a in ("amd64", "arm64", "riscv64"):
            manifests.append(o.descriptor(a))
        manifests.append(dict(o.descriptor("unknown"), platform={"os": "unknown", "architecture": "unknown"}))
        image = o.tar({"manifests": manifests})
        assert r.apart(image, "--platform", "linux/arm64")[0]["architecture"] == "arm64"
        assert r.apart(image, "--platform=linux/riscv64")[0]["architecture"] == "riscv64"
        r.refused(r.split(image, "--platform", "linux/s390x"), "index.json", "none for linux/s390x")
        nested = o.tar({"manifests": [dict(o.json({"manifests": manifests}),
                                           mediaType="application/vnd.oci.image.index.v1+json")]})
        assert r.apart(nested, "--platform", "linux/arm64")[0]["architecture"] == "arm64"
        one = o.tar({"manifests": [manifests[2]]})
        assert r.apart(one)[0]["architecture"] == "riscv64"  # there is no other
        r.refused(r.split(one, "--platform", "linux/amd64"), "linux/riscv64")


def test_files_keep_their_time_of_change_and_links_share_one_file():
    with Room() as r:
        code, stream, said = r.flatten([tar(("a.py", "f", b"x"), ("b.py", "h", "a.py"))])
        assert code == 0, said
        code, target, said = r.plant(stream)
        assert code == 0, said
        a, b = (os.stat(os.path.join(target, n)) for n in ("a.py", "b.py"))
        assert a.st_mtime == MTIME and a.st_ino == b.st_ino and a.st_nlink == 2


def test_a_name_survives_the_file_that_it_was_a_link_to():
    with Room() as r:
        tree = r.tree([tar(("a", "f", b"kept"), ("b", "h", "a")), tar((".wh.a",), ("c", "h", "b"))])
        assert tree == {"b": f(b"kept"), "c": f(b"kept")}


def test_names_are_bytes():
    with Room() as r:
        for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            tree = r.tree([tar(("\u00f6/\u00fc", "f", b"1"), ("\u00f6/l", "l", "\u00fc"), ("h", "h", "\u00f6/\u00fc"),
                               ("\udcff\udcfe%20 \n\x7f", "f", b"2"), format=format)])
            if format == tarfile.GNU_FORMAT:  # pax is UTF-8 by definition; Python writes these otherwise
                assert tree.pop("\udcff\udcfe%20 \n\x7f") == f(b"2")
                assert tree == {"\u00f6": ("d",), "\u00f6/\u00fc": f(b"1"), "\u00f6/l": ("l", "\u00fc"), "h": f(b"1")}
            else:
                assert tree["\u00f6/\u00fc"] == f(b"1") and tree["h"] == f(b"1")


def test_long_names_of_both_kinds():
    with Room() as r:
        deep = "/".join(["d" * 100] * 20)
        for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            tree = r.tree([tar((deep, "f", b"x"), ("l", "l", "t" * 4000), ("h", "h", deep), format=format)])
            assert tree[deep] == f(b"x") and tree["h"] == f(b"x") and tree["l"] == ("l", "t" * 4000)


def test_holes_are_zeros():
    with Room() as r:
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "s"), "wb") as out:
                out.write(b"a" * 4096)
                out.seek(1 << 20)
                out.write(b"z" * 4096)
            for kind in ("gnu", "pax"):
                packed = subprocess.run(["tar", "--sparse", "--format=" + kind, "-C", d, "-c", "s"],
                                        stdout=subprocess.PIPE, check=True).stdout
                assert len(packed) < 1 << 19, "tar made no sparse file"
                assert r.tree([packed])["s"] == f(b"a" * 4096 + bytes((1 << 20) - 4096) + b"z" * 4096)


def test_what_docker_export_has_in_dev_is_left_out_and_told():
    with Room() as r:
        layer = tar(("dev", "d"), ("dev/null", "c"), ("dev/initctl", "p"), ("a", "f", b"a", 0o6755))
        code, stream, said = r.flatten([layer])
        assert code == 0 and "dev/null: left out" in said and "dev/initctl: left out" in said
        assert "a: its set-user-id" in said
        code, target, said = r.plant(stream)
        assert code == 0 and read_tree(target) == {"dev": ("d",), "a": f(b"a", 0o555)}


def test_usage():
    def run(*argv):
        p = subprocess.run([program("talkoot-image"), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        return p.returncode, p.stdout.decode(), p.stderr.decode()
    assert run("--version")[1].startswith("talkoot-image ") and run("--help")[0] == 0
    for argv, word in (((), "split"), (("splat",), "splat"), (("split", "x"), "x"), (("plant",), "plant"),
                       (("flatten",), "flatten"), (("plant", "a", "b"), "b"), (("split", "--max-mib", "0"), "--max-mib"),
                       (("split", "--max-mib"), "--max-mib"), (("split", "--platform=x"), "--platform"),
                       (("split", "--wat"), "--wat")):
        code, out, said = run(*argv)
        assert code == 2 and out == "" and word in said and said.startswith("talkoot-image: "), (argv, said)
    p = subprocess.run([program("talkoot-image"), "split"], input=BASE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 1 and b"not a pipe" in p.stderr


# --- the hostile set -------------------------------------------------------------------------------------------------

TIB = 1 << 40
DEEP = "/".join(["d"] * 1000)
# name: (layers, words of the sentence)
LAYERS = {
    "a path that climbs": ([tar(("../canary/bird", "f", b"x"))], ["../canary/bird", "'..'"]),
    "a path that climbs from below": ([tar(("a/b/../../../canary/bird", "f", b"x"))], ["canary/bird"]),
    "an absolute path that climbs": ([tar(("/../canary/bird", "f", b"x"))], ["/../canary/bird"]),
    "a folder that climbs": ([tar(("a/..", "d"))], ["a/.."]),
    "a hard link out": ([tar(("a", "h", "../canary/bird"))], ["a", "hard link", "'..'"]),
    "an absolute hard link": ([tar(("a", "h", "/etc/passwd"))], ["a", "hard link", "etc/passwd"]),
    "a hard link to what comes later": ([tar(("a", "h", "b"), ("b", "f", b"x"))], ["a", "hard link"]),
    "a hard link to a folder": ([tar(("d", "d"), ("a", "h", "d"))], ["a", "hard link"]),
    "a hard link to itself": ([tar(("a", "f", b"x"), ("a", "h", "a"))], ["a", "itself"]),
    "a hard link through a symbolic link": ([tar(("s", "l", "../canary"), ("a", "h", "s/bird"))], ["a", "s/bird"]),
    "a hard link to what a whiteout hid": ([tar(("b", "f", b"x")), tar((".wh.b",), ("a", "h", "b"))], ["a", "'b'"]),
    "a write through a symbolic link": ([tar(("s", "l", "../canary"), ("s/bird", "f", b"x"))], ["s/bird", "symbolic"]),
    "a write through an absolute link": ([tar(("s", "l", "/"), ("s/tmp/x", "f", b"x"))], ["s/tmp/x", "symbolic"]),
    "a write through a link of a lower layer": ([tar(("s", "l", "../canary")), tar(("s/bird", "f", b"x"))],
                                                ["s/bird", "symbolic"]),
    "a write through two links": ([tar(("a", "d"), ("a/s", "l", ".."), ("a/s/s", "l", ".."))], ["a/s/s", "symbolic"]),
    "a folder through a file": ([tar(("a", "f", b"x"), ("a/b", "d"))], ["a/b", "a file"]),
    "a folder, then a link in its place": ([tar(("s", "d"), ("s", "l", "../canary"), ("s/bird", "f", b"x"))],
                                           ["s/bird", "symbolic"]),
    "a character device": ([tar(("sda", "c"))], ["sda", "device"]),
    "a block device": ([tar(("x/sda", "b"))], ["x/sda", "device"]),
    "a device in dev that climbs": ([tar(("dev/../sda", "b"))], ["dev/../sda", "'..'"]),
    "a FIFO": ([tar(("pipe", "p"))], ["pipe", "FIFO"]),
    "the root as a link": ([tar(("./", "l", "/etc"))], ["root"]),
    "the root as a file": ([tar((".", "f", b"x"))], ["root"]),
    "1 TiB of holes, GNU": ([old_sparse(b"big", TIB, b"x" * 512) + END], ["big", "MiB"]),
    "1 TiB of holes, pax 0.0": ([pax(GNU__sparse__size=b"%d" % TIB, GNU__sparse__numblocks=b"1",
                                     GNU__sparse__offset=b"0", GNU__sparse__numbytes=b"512")
                                 + block(b"big", 512) + pad(b"x" * 512) + END], ["big", "MiB"]),
    "1 TiB of holes, pax 1.0": ([pax(GNU__sparse__major=b"1", GNU__sparse__minor=b"0", GNU__sparse__name=b"big",
                                     GNU__sparse__realsize=b"%d" % TIB) + block(b"x", 1024) + pad(b"1\n0\n512\n")
                                 + pad(b"x" * 512) + END], ["big", "MiB"]),
    "a size of 1 TiB": ([block(b"big", 0, raw_size=b"\x80\0\0\0" + struct.pack(">q", TIB)) + END], ["big", "MiB"]),
    "a size of 2^63 - 1": ([block(b"big", 0, raw_size=b"\x80\0\0\0" + struct.pack(">q", (1 << 63) - 1)) + END], []),
    "a negative size": ([block(b"neg", 0, raw_size=b"\xff" * 12) + END], []),
    "pax: a size of 1 TiB": ([pax(size=b"%d" % TIB) + block(b"big", 0) + END], ["big", "MiB"]),
    "pax: a negative size": ([pax(size=b"-1") + block(b"neg", 0) + END], []),
    "pax: a path that climbs": ([pax(path=b"../canary/bird") + block(b"a", 0) + END], ["../canary/bird"]),
    "pax: a link that climbs": ([pax(linkpath=b"../canary/bird") + block(b"a", 0, b"1", b"b") + END], ["a", "'..'"]),
    "pax: a sparse name that climbs": ([pax(GNU__sparse__major=b"1", GNU__sparse__minor=b"0",
                                            GNU__sparse__name=b"../canary/x", GNU__sparse__realsize=b"512")
                                        + block(b"x", 1024) + pad(b"1\n0\n512\n") + pad(b"x" * 512) + END],
                                       ["../canary/x"]),
    "pax: a record longer than its header": ([block(b"p", 10, b"x") + pad(b"99 path=a\n") + block(b"a") + END], []),
    "pax: a header of 2 MiB": ([pax(comment=b"x" * (2 << 20)) + block(b"a") + END], []),
    "pax: a header of 1 TiB": ([block(b"p", 0, b"x", raw_size=b"\x80\0\0\0" + struct.pack(">q", TIB)) + END], []),
    "long names upon long names": ([(block(b"././@LongLink", 512, b"L") + pad(b"a\0")) * 20000 + block(b"a") + END], []),
    "a name of 5000 bytes": ([tar(("/".join(["n" * 99] * 50), "f", b"x"))], ["n" * 99, "longer than 4095"]),
    "a part of 300 bytes": ([tar(("n" * 300, "f", b"x"))], ["n" * 100, "longer than 255"]),
    "1000 folders deep": ([tar((DEEP, "f", b"x"))], ["d/d/d", "deeper than 64"]),
    "a link of 5000 bytes": ([tar(("a", "l", "t" * 5000))], ["a", "4095"]),
    "a link to nothing": ([pax(linkpath=b"") + block(b"a", 0, b"2") + END], ["a"]),
    "a wrong checksum": ([block(b"a", 0, checksum=b"000001\0 ") + END], []),
    "a wrong checksum later": ([block(b"a") + block(b"b", 0, checksum=b"000001\0 ") + END], []),
    "cut in a header": ([tar(("a", "f", b"x" * 5000))[:200]], []),
    "cut in a file": ([tar(("a", "f", b"x" * 5000))[:3000]], ["a"]),
    "cut in gzip": ([gzip.compress(os.urandom(0) + tar(("a", "f", bytes(range(256)) * 400)))[:300]], []),
    "no tar at all": ([b"hello, world\n" * 1000], []),
    "nothing": ([b""], []),
    "gzip of gzip": ([gzip.compress(gzip.compress(BASE))], ["compressed more than once"]),
    "gzip of gzip of gzip": ([gzip.compress(gzip.compress(gzip.compress(BASE)))], ["compressed more than once"]),
    "a whiteout of no name": ([tar((".wh.",))], [".wh.", "whiteout of no name"]),
    "a whiteout of .": ([tar(("a/.wh..",))], ["a/.wh..", "whiteout of no name"]),
    "a whiteout of ..": ([BASE, tar(("bin/.wh...",))], ["bin/.wh...", "whiteout of no name"]),
    "a whiteout that is a folder": ([BASE, tar((".wh.bin", "d"))], [".wh.bin", "must be a file"]),
    "a whiteout that is a link": ([BASE, tar((".wh.bin", "l", "x"))], [".wh.bin", "must be a file"]),
    "a file in a whiteout": ([tar((".wh.a/b", "f", b"x"))], [".wh.a/b", "whiteout"]),
    "a whiteout that climbs": ([tar(("../.wh.canary",))], ["../.wh.canary", "'..'"]),
}
# name: (layers, the tree)
HARMLESS = {
    "a whiteout of a parent": ([tar(("a/b/c", "f", b"x")), tar((".wh.a",))], {}),
    "a whiteout of the own layer": ([tar(("a/b", "f", b"x"), (".wh.a",))], {"a": ("d",), "a/b": f(b"x")}),
    "a whiteout through a link": ([tar(("s", "l", "../canary")), tar(("s/.wh.bird",))], {"s": ("l", "../canary")}),
    "an opaque root": ([BASE, tar((".wh..wh..opq",), ("a", "f", b"x"))], {"a": f(b"x")}),
    "an opaque root behind": ([BASE, tar(("a", "f", b"x"), (".wh..wh..opq",))], {"a": f(b"x")}),
    "a whiteout of what is not there": ([tar((".wh.x",), ("a", "d"))], {"a": ("d",)}),
    "a file named ...": ([tar(("...", "f", b"x")), tar(("b", "d"), ("b/.wh....",))], {"...": f(b"x"), "b": ("d",)}),
    "bookkeeping of aufs": ([tar((".wh..wh.plnk", "d"), (".wh..wh.aufs",), ("a", "d"))], {"a": ("d",)}),
    "file, folder, link": ([tar(("a", "f", b"x"), ("a", "d"), ("a/b", "f", b"y"), ("a", "l", "../canary"))],
                           {"a": ("l", "../canary")}),
    "link, folder": ([tar(("a", "l", "../canary")), tar(("a", "d"), ("a/bird", "f", b"y"))],
                     {"a": ("d",), "a/bird": f(b"y")}),
    "a link replaced by a file of its name": ([tar(("a", "l", "canary/bird"), ("a", "f", b"y"))], {"a": f(b"y")}),
    "a link to anywhere": ([tar(("a", "l", "/../../etc/passwd"))], {"a": ("l", "/../../etc/passwd")}),
    "a hard link to a link": ([tar(("a", "l", "x"), ("b", "h", "a"))], {"a": ("l", "x"), "b": ("l", "x")}),
    "slashes and dots": ([tar(("/.//a/./b", "f", b"x"))], {"a": ("d",), "a/b": f(b"x")}),
    "pax: NUL in a path ends it": ([pax(path=b"good\0/../../canary/bird") + block(b"a", 0) + END], {"good": f(b"")}),
    "pax: a size that ends in letters": ([pax(size=b"1e9") + block(b"a", 3) + pad(b"abc") + END], {"a": f(b"a")}),
    "bits that make one another user": ([tar(("u", "f", b"x", 0o4755), ("g", "f", b"x", 0o2755), ("all", "f", b"x", 0o7777),
                                             ("t", "d", b"", 0o1777), ("s", "d", b"", 0o6777))],
                                        {"u": f(b"x", 0o555), "g": f(b"x", 0o555), "all": f(b"x", 0o555), "t": ("d",), "s": ("d",)}),
    "a contiguous file": ([block(b"a", 3, b"7") + pad(b"abc") + END], {"a": f(b"abc")}),
    "an unknown kind": ([block(b"a", 3, b"Q") + pad(b"abc") + END], {"a": f(b"abc")}),
    "1 GiB of zeros, packed, behind the end": ([gz_of([tar(("a", "f", b"x"))] + [bytes(1 << 20)] * 1024)],
                                               {"a": f(b"x")}),
}


def test_hostile_layers_are_refused_with_the_entry_named():
    each = Each()
    with Room() as r:
        for name, (layers, words) in LAYERS.items():
            with each.case(name):
                r.refused(r.flatten(layers), *words)
    each.end()


def test_harmless_layers_come_to_what_they_say():
    each = Each()
    with Room() as r:
        for name, (layers, tree) in HARMLESS.items():
            with each.case(name):
                found = r.tree(layers)
                assert found == tree, found
                assert r.look(r.canary) == r.before
    each.end()


def test_the_same_hostile_tars_are_refused_as_root_file_systems():
    """split looks at a plain tar as flatten does: what is refused is refused at home, not on a volunteer's machine."""
    each = Each()
    with Room() as r:
        for name, (layers, words) in LAYERS.items():
            if len(layers) == 1:
                with each.case(name):
                    r.refused(r.split(layers[0]), *words)
    each.end()


def test_a_million_entries_are_refused_within_the_memory():
    with Room() as r:
        some = block(b"a") * 10000
        r.refused(r.flatten([gz_of([some] * 100 + [END])]), "a", "more than 262144 entries")
        r.refused(r.split(gz_of([some] * 100 + [END])), "a", "more than 262144 entries")


def many(n, length, link=b""):
    return gz_of([b"".join(block((b"%07d" % k).rjust(90, b"n"), 0, b"2" if link else b"0", link,
                                 prefix=b"p" * (length - 91))
                           for k in range(at, min(n, at + 4096))) for at in range(0, n, 4096)] + [END])


def test_the_largest_index_fits_and_longer_names_are_refused():
    with Room() as r:
        layer = many(ENTRIES_MAX - 1, 200)
        code, stream, said = r.flatten([layer], output_mib=256)
        assert code == 0, said
        with open(stream, "rb") as s:
            s.seek(-20, os.SEEK_END)
            assert s.read().endswith(b"\ne %d\n" % ENTRIES_MAX)
        r.refused(r.flatten([layer, tar(("one-more", "f", b""), ("two-more", "f", b""))]), "two-more", "262144")
        r.refused(r.flatten([many(250 * 1000, 200, b"l" * 99)]), "names of a layer", "64 MiB")
        # each entry brings 30 folders
        wide = gz_of([block(b"%d/" % k + b"/".join([b"x"] * 30)) for k in range(20000)] + [END])
        r.refused(r.flatten([wide]), "more than 262144 files and folders")


def test_bombs_are_refused_by_what_they_unpack_to():
    with Room() as r:
        mib = bytes(1 << 20)
        big = gz_of([block(b"big", 1 << 30)] + [mib] * 1024 + [END])
        r.refused(r.flatten([big], "--max-mib", "1000"), "big", "1000 MiB")
        # holes that bring more than they say: 1 byte told, 2 GiB stored
        liar = old_sparse(b"liar", 1, b"", stored_size=2 << 30)
        r.refused(r.flatten([gz_of([liar] + [mib] * 2048 + [END])], "--max-mib", "64"), "64 MiB")
        # headers without end, each of nearly 1 MiB
        fat = pax(comment=b"x" * (900 << 10)) + block(b"a")
        r.refused(r.flatten([gz_of([fat] * 1300 + [END])], "--max-mib", "1"), "1 MiB")
        # all files together, over layers
        half = tar(("a", "f", bytes(700 << 10)))
        r.refused(r.flatten([half, half], "--max-mib", "1"), "a", "1 MiB")


def image_of(**files):
    return tar(*[(n.replace("__", "/").replace("_", "."), "f", d) for n, d in files.items()])


def bent(**changes):
    """An OCI image with fields of its manifest changed."""
    o = Oci([BASE])
    o.manifest.update(changes)
    return o.tar()


def hostile_images():
    o = Oci([BASE])
    lay = o.manifest["layers"][0]
    yield "docker: a layer that climbs", docker([BASE], manifest=[{"Config": "c.json", "Layers": ["../../etc/passwd"]}]), \
        ["Layers[0]", "'..'"]
    yield "docker: a config that climbs", docker([BASE], manifest=[{"Config": "../c", "Layers": ["0/layer.tar"]}]), ["'..'"]
    yield "docker: no layer of that name", docker([BASE], manifest=[{"Config": "c.json", "Layers": ["x.tar"]}]), \
        ["x.tar", "missing"]
    yield "docker: no config", docker([BASE], manifest=[{"Config": "d.json", "Layers": ["0/layer.tar"]}]), ["d.json", "missing"]
    yield "docker: two images", docker([BASE], manifest=[{}, {}]), ["2 images"]
    yield "docker: no image", docker([BASE], manifest=[]), ["0 images"]
    yield "docker: layers that are numbers", docker([BASE], manifest=[{"Config": "c.json", "Layers": [1]}]), ["Layers[0]"]
    yield "docker: 128 layers", docker([BASE], manifest=[{"Config": "c.json", "Layers": ["0/layer.tar"] * 128}]), ["127"]
    yield "docker: a manifest that is an object", docker([BASE], manifest={"a": 1}), ["manifest.json"]
    yield "docker: a layer that links round", tar(("l", "l", "l"), ("c.json", "f", b"{}"), (
        "manifest.json", "f", b'[{"Config":"c.json","Layers":["l"]}]')), ["l: is missing"]
    yield "docker: a layer that links out", tar(("l", "l", "../../canary/bird"), ("c.json", "f", b"{}"), (
        "manifest.json", "f", b'[{"Config":"c.json","Layers":["l"]}]')), ["l: is missing"]
    yield "oci: no index", image_of(**{"oci-layout": b"{}"}), ["index.json", "missing"]
    yield "oci: an index that is no JSON", image_of(**{"oci-layout": b"{}", "index_json": b"{]"}), ["index.json", "JSON"]
    yield "oci: an index with a key twice", image_of(**{"oci-layout": b"{}", "index_json": b'{"a":1,"a":2}'}), ["index.json"]
    yield "oci: an index of 2 MiB", image_of(**{"oci-layout": b"{}", "index_json": b"[" + b" " * (2 << 20) + b"]"}), \
        ["index.json", "1048576"]
    yield "oci: JSON 100000 deep", image_of(**{"oci-layout": b"{}", "index_json": b"[" * 100000}), ["index.json"]
    yield "oci: no manifests", image_of(**{"oci-layout": b"{}", "index_json": b'{"manifests":[]}'}), ["no manifests"]
    yield "oci: a digest of another kind", o.tar({"manifests": [{"digest": "md5:00"}]}), ["md5:00"]
    yield "oci: a digest that is a path", o.tar({"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}), ["sha256:.."]
    yield "oci: a manifest that is missing", o.tar({"manifests": [{"digest": "sha256:" + "0" * 64}]}), ["0" * 64, "missing"]
    many = [dict(lay, n=k) for k in range(5000)]
    yield "oci: 5000 manifests", o.tar({"manifests": many}), ["index.json", "1024"]
    yield "oci: 100000 manifests", o.tar({"manifests": [lay] * 100000}), ["index.json", "1048576"]
    o = Oci([BASE])
    index = o.descriptor()
    for _ in range(8):
        index = dict(o.json({"manifests": [index]}), mediaType="application/vnd.oci.image.index.v1+json")
    yield "oci: indexes in indexes", o.tar({"manifests": [index]}), ["4 deep"]
    # an index cannot name itself by digest, so the doubling kind is the worst: 2^20 manifests
    o = Oci([BASE])
    index = o.descriptor()
    for _ in range(3):
        index = dict(o.json({"manifests": [index] * 100}), mediaType="application/vnd.oci.image.index.v1+json")
    yield "oci: a million by doubling", o.tar({"manifests": [index]}), ["index.json", "1024"]
    o = Oci([BASE])
    two = [o.descriptor(), o.descriptor(annotations={})]
    o.manifest["x"] = 1
    two.append(o.descriptor())
    yield "oci: two images of one platform", o.tar({"manifests": two}), ["2 images for"]
    yield "oci: no layers", bent(layers=[]), ["layers"]
    yield "oci: 128 layers", bent(layers=[lay] * 128), ["127"]
    yield "oci: a layer of no tar", bent(layers=[dict(lay, mediaType="application/vnd.in-toto+json")]), ["in-toto"]
    yield "oci: a layer of the wrong size", bent(layers=[dict(lay, size=5)]), ["layer 0", "5"]
    yield "oci: a layer of a negative size", bent(layers=[dict(lay, size=-1)]), ["layer 0", "size"]
    yield "oci: a missing layer", bent(layers=[dict(lay, digest="sha256:" + "1" * 64)]), ["layer 0", "missing"]
    yield "oci: more layers than told", bent(layers=[lay, lay]), ["1 layers", "2"]
    for what in ("layer", "manifest", "config"):
        o = Oci([BASE])
        index = {"manifests": [o.descriptor()]}
        d = {"layer": lay, "manifest": index["manifests"][0], "config": o.manifest["config"]}[what]
        blob = "blobs/sha256/" + d["digest"][7:]
        o.files[blob] = o.files[blob].replace(b"l", b"m", 1)
        yield "oci: a %s of other bytes" % what, o.tar(index), [d["digest"][7:], "digest"]
    for key, value in (("Entrypoint", "x"), ("Cmd", [1]), ("Env", ["x"] * 2000), ("Cmd", ["x" * 40000])):
        yield "oci: a bad %s" % key, Oci([BASE], {key: value}).tar(), ["config", key]
    yield "oci: a workdir that climbs", Oci([BASE], {"WorkingDir": "/a/../.."}).tar(), ["WorkingDir", "'..'"]
    yield "oci: NUL in a word", Oci([BASE], {"Cmd": ["a\0b"]}).tar(), ["JSON"]
    yield "oci: gzip of gzip", gzip.compress(gzip.compress(Oci([BASE]).tar())), ["compressed more than once"]
    yield "oci: cut short", Oci([BASE]).tar()[:-len(BASE) // 2], []
    yield "oci: without its end", Oci([BASE]).tar().rstrip(b"\0") + b"\0" * 100, []
    much = b"{" + b" " * (1 << 19) + b"}"
    yield "much JSON", tar(*[("blobs/%d" % k, "f", much) for k in range(40)], ("oci-layout", "f", b"{}"),
                           ("index.json", "f", much)), ["index.json", "16 MiB"]


def test_hostile_images_are_refused_with_the_document_named():
    each = Each()
    with Room() as r:
        for name, image, words in hostile_images():
            with each.case(name):
                r.refused(r.split(image), *words)
    each.end()


STREAMS = {
    "no stream": (b"hello\n", "no tree stream"),
    "another version": (b"talkoot-tree 2\ne 0\n", "no tree stream"),
    "no end": (b"d 0755 a\n", "cut short"),
    "a wrong count": (b"d 0755 a\ne 2\n", "number of records"),
    "more behind": (b"e 0\nx", "follows the end"),
    "climbs": (b"f 0644 0 0 ../canary/x\ne 1\n", "record 1"),
    "absolute": (b"f 0644 0 0 /x\ne 1\n", "record 1"),
    "twice": (b"d 0755 a\nd 0755 a\ne 2\n", "a: comes twice"),
    "without its folder": (b"f 0644 0 0 a/b\ne 1\n", "a/b: its folder"),
    "through a link": (b"l 9 a\n../canaryf 0644 0 4 a/bird\nxxxxe 2\n", "a/bird: its folder"),
    "in place of a link": (b"l 14 a\n../canary/birdf 0644 0 4 a\nxxxxe 2\n", "a: comes twice"),
    "a name of a link": (b"l 14 a\n../canary/birdh 1 b\nae 2\n", "b: another name"),
    "a name through a link": (b"l 9 a\n../canaryh 6 b\na/birde 2\n", "b: another name"),
    "a name that climbs": (b"h 14 b\n../canary/birde 1\n", "no good path"),
    "set-user-id": (b"f 4755 0 0 a\ne 1\n", "record 1"),
    "a mode of 8s": (b"f 0648 0 0 a\ne 1\n", "record 1"),
    "a leading zero": (b"f 0644 0 01 a\nxe 1\n", "record 1"),
    "a second spelling": (b"d 0755 %61\ne 1\n", "record 1"),
    "lower case": (b"d 0755 %c3\ne 1\n", "record 1"),
    "NUL": (b"d 0755 a%00\ne 1\n", "record 1"),
    "NUL in a link": (b"l 3 a\na\0be 1\n", "NUL"),
    "a device": (b"c 0644 a\ne 1\n", "record 1"),
    "1 TiB": (b"f 0644 0 1099511627776 a\nx", "a: the files are more"),
    "a line without end": (b"d 0755 " + b"a" * 20000, "record 0: a line is too long"),
}


def test_plant_refuses_streams_that_are_not_exactly_right():
    each = Each()
    with Room() as r:
        for name, (body, words) in STREAMS.items():
            stream = body if name in ("no stream", "another version") else b"talkoot-tree 1\n" + body
            with each.case(name):
                code, target, said = r.plant(r.write(stream))
                assert code == 1 and words in said, (code, said)
                assert r.look(r.canary) == r.before
    each.end()


def test_plant_takes_a_new_or_an_empty_folder_and_no_other():
    with Room() as r:
        stream = r.write(b"talkoot-tree 1\nd 0755 a\ne 1\n")

        def plant(path):
            with open(stream, "rb") as s:
                return subprocess.run([program("talkoot-image"), "plant", path], stdin=s, stderr=subprocess.PIPE)
        empty = r.path()
        os.mkdir(empty)
        assert plant(empty).returncode == 0 and os.listdir(empty) == ["a"]
        full = plant(r.canary)
        assert full.returncode == 1 and b"not empty" in full.stderr
        link = r.path()
        os.symlink(empty, link)
        assert plant(link).returncode == 1 and os.listdir(empty) == ["a"]
        assert r.look(r.canary) == r.before


if __name__ == "__main__":
    main(globals())
