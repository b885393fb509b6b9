# SPDX-License-Identifier: Apache-2.0
"""Local discovery between machines: network namespaces on a switch of the test's own."""
import os
import shutil
import socket
import tempfile
import time

import grid
from grid import Skip, program

try:
    import netns
except ImportError:  # then each test says so
    netns = None

GROUP, PORT = "239.255.84.75", 7072


class Lan:
    """A coordinator on a switch, and workers that are started as they are wanted."""

    made = 0

    def __init__(self):
        if not netns:
            raise Skip("tests/system/netns.py is not there")
        self.net = netns.Net()
        Lan.made += 1
        self.net.count = 100 * Lan.made  # the cables of the test before go a moment after its hosts
        self.dir = tempfile.mkdtemp(prefix="talkoot-test-")
        self.procs = []
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir}
        try:
            self.lan = self.net.switch("lan")
            self.c = self.host("c", 1)
            self.coordinator = self.start(self.c, "c", "talkoot-coordinator", "--listen", "10.77.0.1:7070",
                                          "--admin", "127.0.0.1:7071").wait_ready()
            self.link = self.coordinator.ready[0]
        except BaseException:
            self.close()
            raise

    def host(self, name, n):
        h = self.net.host(name)
        self.net.plug(h, self.lan, "10.77.0.%d/24" % n)
        return h

    def start(self, host, name, what, *args):
        p = grid.Proc(host.argv([program(what), "--data", os.path.join(self.dir, name)] + list(args)),
                      os.path.join(self.dir, name + ".log"), self.env)
        self.procs.append(p)
        return p

    def worker(self, host, name, listen, link=None):
        return self.start(host, name, "talkoot-worker", "--listen", listen, "--slots", "1", "--disk", "256",
                          "--join", link or self.link)

    def log(self, name):
        with open(os.path.join(self.dir, name + ".log"), errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        if why[0] and why[0] is not Skip:
            for name in sorted(os.listdir(self.dir)):
                if name.endswith(".log"):
                    print("--- %s\n%s" % (name, self.log(name[:-4])[-2000:]))
        self.close()

    def close(self):
        for p in reversed(self.procs):
            p.close()
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def dead(lan):
    """A link of this grid to a machine that is gone."""
    return "talkoot://10.77.0.99:7070/" + lan.link.rsplit("/", 1)[1]


def ear(host, address):
    with host.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GROUP, PORT))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(address))
    return s


def spoke(s, seconds):
    """Who spoke to the group until then."""
    found, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        s.settimeout(max(0.001, end - time.monotonic()))
        try:
            data, at = s.recvfrom(1000)
        except socket.timeout:
            break
        assert data.startswith(b"TALKOOT-SEARCH 1\r\n"), data
        found.add(at[0])
    return found


def test_workers_of_one_network_find_each_other():
    """The second one's link leads nowhere; it joins by the first. A third listens at one address only."""
    with Lan() as lan:
        a, b, d = lan.host("a", 2), lan.host("b", 3), lan.host("d", 4)
        lan.worker(a, "a", "0.0.0.0:0").wait_ready()
        lan.worker(b, "b", "0.0.0.0:0", dead(lan)).wait_ready()
        assert "at 10.77.0.2:" in lan.log("b")
        lan.worker(d, "d", "10.77.0.4:0", dead(lan)).wait_ready()
        assert "at 10.77.0.2:" in lan.log("d") or "at 10.77.0.3:" in lan.log("d")


def test_a_worker_on_loopback_says_nothing_to_the_network():
    with Lan() as lan:
        a, b = lan.host("a", 2), lan.host("b", 3)
        s = ear(lan.c, "10.77.0.1")
        lan.worker(a, "a", "127.0.0.1:0").wait_ready()
        lan.worker(a, "none", "none").wait_ready()
        lan.worker(b, "b", "0.0.0.0:0").wait_ready()  # started last, and heard: the others would have been
        end = time.monotonic() + grid.PATIENCE
        heard = set()
        while not heard and time.monotonic() < end:
            heard = spoke(s, 1)
        assert heard == {"10.77.0.3"}, heard
        assert "nearby" not in lan.log("a")


def test_one_with_several_networks_speaks_on_each():
    with Lan() as lan:
        a = lan.host("a", 2)
        far = lan.net.host("far")
        lan.net.link(a, far, "10.78.0.1/24", "10.78.0.2/24")
        s, t = ear(lan.c, "10.77.0.1"), ear(far, "10.78.0.2")
        lan.worker(a, "a", "0.0.0.0:0").wait_ready()
        assert spoke(s, 5) == {"10.77.0.2"} and spoke(t, 5) == {"10.78.0.1"}


(netns or grid).main(globals())
