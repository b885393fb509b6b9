# SPDX-License-Identifier: Apache-2.0
"""netns.py: hosts of a test's own: network namespaces, cables between them, slow and lossy lines.

    if __name__ == "__main__":
        netns.main(globals())            # instead of grid.main: goes into namespaces first

    with netns.Net() as net:
        c, a = net.host("c"), net.host("a")
        net.link(c, a, "198.51.100.1/24", "198.51.100.2/24")    # a cable
        lan = net.switch("lan")
        net.plug(a, lan, "203.0.113.1/24", rate="16mbit")       # its sending is shaped (tbf)
        p = subprocess.Popen(c.argv(["program"]))               # runs on c; its pid is the program's
        with c.inside():                                        # sockets made here are c's
            urllib.request.urlopen("http://127.0.0.1:…")

As root the test takes a new network and mount namespace, else a user namespace as well, so nothing of
the machine's own network is seen or touched. Where the kernel forbids that, Net() raises Skip with the
reason. Delay and loss come from Proxy, since netem is not in every kernel. Holds no test itself."""
import contextlib
import ctypes
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import grid
from grid import Skip

CLONE_NEWNET = 0x40000000
MARK = "TALKOOT_TEST_NETNS"  # set in the process that is in namespaces already
libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why namespaces cannot be had here, or None."""
    for tool in ("unshare", "nsenter", "ip", "tc"):
        if not shutil.which(tool):
            return "%s is not installed (packages util-linux and iproute2)" % tool
    p = subprocess.run(_unshare() + ["ip", "link", "add", "tv0", "type", "veth", "peer", "name", "tv1"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        return "network namespaces with veth are forbidden here: " + p.stdout.decode(errors="replace").strip()
    return None


def _unshare():
    return ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])


def main(tests):
    """grid.main() in namespaces of its own. Where there are none it runs outside and Net() skips."""
    if MARK not in os.environ and not why_not():
        os.environ[MARK] = "root" if os.geteuid() == 0 else "user"
        os.execvp("unshare", _unshare() + [sys.executable] + sys.argv)
    grid.main(tests)


def ip(*args):
    _run(["ip"] + list(args))


def _run(argv):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        raise AssertionError("%s: %s" % (" ".join(argv), p.stdout.decode(errors="replace")))


def _enter(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """One machine: a network namespace, kept by a process that sleeps."""

    def __init__(self, name):
        self.name = name
        self.addresses = []
        self.devices = []
        self.keeper = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 86400"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.keeper.stdout.readline() != b"up\n":
            raise AssertionError("no network namespace for host " + name)

    @property
    def address(self):
        """The first of its addresses."""
        return self.addresses[0]

    def argv(self, argv):
        """What starts `argv` on this host (nsenter becomes the program, so the pid is its own). In a user
        namespace the program gets one more, where it is an ordinary user again."""
        ordinary = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
        return self._as_root((ordinary if os.environ[MARK] == "user" else []) + list(argv))

    def _as_root(self, argv):
        return ["nsenter", "--net=/proc/%d/ns/net" % self.keeper.pid, "--"] + list(argv)

    @contextlib.contextmanager
    def inside(self):
        """This thread is on the host: sockets that it makes are the host's, also after it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/proc/%d/ns/net" % self.keeper.pid, os.O_RDONLY)
        try:
            _enter(there)
            try:
                yield self
            finally:
                _enter(home)
        finally:
            os.close(there)
            os.close(home)

    def run(self, *argv):
        """As the host's root: ip, tc and the like."""
        _run(self._as_root(argv))

    def shape(self, device, rate, burst="32kbit", latency="400ms"):
        """What the host sends by this device goes at `rate` (as tc writes it: 8mbit)."""
        self.run("tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst", burst,
                 "latency", latency)

    def cut(self, device=None):
        """Pull the cable (all of them); mend() puts it back."""
        for d in [device] if device else self.devices:
            self.run("ip", "link", "set", d, "down")

    def mend(self, device=None):
        for d in [device] if device else self.devices:
            self.run("ip", "link", "set", d, "up")

    def counters(self, device):
        """(bytes received, bytes sent) by the device."""
        out = subprocess.run(self.argv(["cat", "/proc/net/dev"]), stdout=subprocess.PIPE, check=True).stdout.decode()
        for line in out.splitlines():
            name, _, rest = line.strip().partition(":")
            if name == device:
                f = rest.split()
                return int(f[0]), int(f[8])
        raise AssertionError("no device %s on %s" % (device, self.name))

    def close(self):
        self.keeper.send_signal(signal.SIGKILL)
        self.keeper.wait()
        self.keeper.stdout.close()


class Net:
    """The hosts of one test. Use in a `with`; the programs on them must have ended before."""

    made = 0  # devices, by the nets before: the kernel takes its time to forget their names

    def __init__(self):
        if MARK not in os.environ:
            raise Skip(why_not() or "start it by netns.main()")
        self.hosts = []
        self.bridges = []
        self.count = Net.made

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def close(self):
        for h in self.hosts:
            h.close()
        for b in self.bridges:
            subprocess.run(["ip", "link", "del", b], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.hosts, self.bridges = [], []
        Net.made = self.count

    def host(self, name):
        h = Host(name)
        self.hosts.append(h)
        return h

    def _end(self, device, host, address, rate):
        name = "eth%d" % len(host.devices)
        ip("link", "set", device, "netns", str(host.keeper.pid), "name", name)
        host.run("ip", "addr", "add", address, "dev", name)
        host.run("ip", "link", "set", name, "up")
        host.devices.append(name)
        host.addresses.append(address.split("/")[0])
        if rate:
            host.shape(name, rate)
        return name

    def _pair(self):
        self.count += 1
        ends = "tk%da" % self.count, "tk%db" % self.count
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        return ends

    def link(self, a, b, a_address, b_address, a_rate=None, b_rate=None):
        """A cable between two hosts. No host forwards: who has no cable to another cannot reach it."""
        x, y = self._pair()
        return self._end(x, a, a_address, a_rate), self._end(y, b, b_address, b_rate)

    def switch(self, name):
        """A switch: who is plugged into it with an address of one network reaches the others."""
        self.count += 1
        bridge = "tkbr%d" % self.count
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        self.bridges.append(bridge)
        return bridge

    def trunk(self, a, b):
        """A cable between two switches, to be cut and mended."""
        x, y = self._pair()
        for end, switch in ((x, a), (y, b)):
            ip("link", "set", end, "master", switch)
            ip("link", "set", end, "up")
        return x

    def cut(self, trunk):
        """What is sent from now on is lost; nobody is told so."""
        ip("link", "set", trunk, "down")

    def mend(self, trunk):
        ip("link", "set", trunk, "up")

    def plug(self, host, switch, address, rate=None, down_rate=None):
        """Plug a host into a switch; `rate` shapes what it sends, `down_rate` what it gets."""
        x, y = self._pair()
        ip("link", "set", y, "master", switch)
        ip("link", "set", y, "up")
        if down_rate:
            _run(["tc", "qdisc", "replace", "dev", y, "root", "tbf", "rate", down_rate, "burst", "32kbit",
                  "latency", "400ms"])
        return self._end(x, host, address, rate)


class Proxy:
    """A TCP proxy on a host: each part read is passed on `delay_s` later; with chance `loss` it is held
    `stall_s` longer, as a lost segment is until it is sent again. mangle(bytes, up) may alter what passes.
    One thread a connection; closed with close()."""

    def __init__(self, host, listen, to, delay_s=0.0, loss=0.0, stall_s=0.2, mangle=None, seed=1):
        self.host, self.to = host, to
        self.delay_s, self.loss, self.stall_s, self.mangle = delay_s, loss, stall_s, mangle
        self.chance = random.Random(seed)
        self.passed = 0  # bytes
        self.open = True
        with self._there():
            self.server = socket.create_server(listen)
        self.address = self.server.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _there(self):
        return self.host.inside() if self.host else contextlib.nullcontext()

    def _accept(self):
        while self.open:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with contextlib.closing(s):
            try:
                with self._there():
                    t = socket.create_connection(self.to, timeout=30)
            except OSError:
                return
            with contextlib.closing(t):
                try:
                    self._pass(s, t)
                except OSError:
                    pass

    def _pass(self, s, t):
        waiting = []  # (when, to whom, bytes), in order for each direction
        ready_at = {s: 0.0, t: 0.0}
        ends = set()
        while self.open and (len(ends) < 2 or waiting):
            now = time.monotonic()
            for item in [w for w in waiting if w[0] <= now]:
                waiting.remove(item)
                if item[2]:
                    item[1].sendall(item[2])
                else:
                    item[1].shutdown(socket.SHUT_WR)
            due = min([w[0] for w in waiting], default=now + 0.5)
            readable, _, _ = select.select([x for x in (s, t) if x not in ends], [], [], max(0.0, min(0.5, due - now)))
            for x in readable:
                data = x.recv(16384)
                other = t if x is s else s
                if not data:
                    ends.add(x)
                elif self.mangle:
                    data = self.mangle(data, x is s)
                at = time.monotonic() + self.delay_s
                if data and self.loss and self.chance.random() < self.loss:
                    at += self.stall_s
                ready_at[other] = at = max(at, ready_at[other])
                self.passed += len(data)
                waiting.append((at, other, data))

    def close(self):
        self.open = False
        try:
            self.server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.server.close()
