# SPDX-License-Identifier: Apache-2.0
"""bench_swarm.py: how long until the last of N workers has a shared input, when the coordinator's uplink and theirs are
slow; beside it the best time that this topology allows, and the same file by a real BitTorrent client
(python3-libtorrent) in the same namespaces.

Nothing here asserts a time. WORKERS, SIZE_MIB, SEED_MBIT and WORKER_MBIT come from the environment."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import netns  # noqa: E402
from swarmnet import MIB, SwarmGrid  # noqa: E402

WORKERS = int(os.environ.get("WORKERS", "16"))
SIZE = int(float(os.environ.get("SIZE_MIB", "32")) * MIB)
SEED_MBIT = float(os.environ.get("SEED_MBIT", "8"))
WORKER_MBIT = float(os.environ.get("WORKER_MBIT", "16"))


def bound():
    """Until all have it the seed has sent it once, and all uplinks together N copies (Kumar and Ross 2006)."""
    c, u = SEED_MBIT * 1e6 / 8, WORKER_MBIT * 1e6 / 8
    once, all_ = SIZE / c, WORKERS * SIZE / (c + WORKERS * u)
    print("F = %d bytes, C = %.0f bytes/s, U = %.0f bytes/s each, N = %d" % (SIZE, c, u, WORKERS))
    print("best possible: max(F/C = %.1f s, N F/(C + N U) = %.1f s) = %.1f s" % (once, all_, max(once, all_)))
    return max(once, all_)


def rates():
    return "%gmbit" % SEED_MBIT, "%gmbit" % WORKER_MBIT


def show(what, last, first, sent, best):
    print("%-12s last %.1f s = %.2f of the best (first %.1f s); the first seed sent %.2f copies"
          % (what, last, last / best, first, sent / SIZE))


def test_ours():
    best = bound()
    with netns.Net() as net, SwarmGrid(net, WORKERS, *rates()) as g:
        g.make_input(SIZE, 1)
        g.start_workers()
        time.sleep(1)  # all hold an ask, so that all begin at once
        before = g.seed_sent()
        g.submit_readers(4 * WORKERS)
        took = g.wait_spread(g.workers)
        show("talkoot", max(took.values()), min(took.values()), g.seed_sent() - before, best)
        g.check_digests(g.workers)
        got = sum(w.host.counters("eth0")[0] for w in g.workers)
        print("             the workers received %.2f of what they needed, all told" % (got / SIZE / WORKERS))
        if os.environ.get("SHOW"):
            print(sorted("%.1f" % t for t in took.values()))
            cpu = 0
            for w in [g.coordinator] + g.workers:
                f = open("/proc/%d/stat" % w.pid).read().split()
                cpu += (int(f[13]) + int(f[14])) / os.sysconf("SC_CLK_TCK")
                print(w.name if hasattr(w, "name") else "c", f[13], f[14])
            print("cpu %.1f s" % cpu)


CLIENT = r"""
import sys, time
import libtorrent as lt
torrent, save, listen, seeds, peers = sys.argv[1:6]
s = lt.session({"listen_interfaces": listen, "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                "enable_natpmp": False, "allow_multiple_connections_per_ip": True, "alert_mask": 0})
h = s.add_torrent({"ti": lt.torrent_info(torrent), "save_path": save,
                   "flags": (lt.torrent_flags.seed_mode | lt.torrent_flags.super_seeding) if seeds == "1" else 0})
for p in peers.split(","):
    host, port = p.rsplit(":", 1)
    h.connect_peer((host, int(port)))
while not h.status().is_seeding:
    time.sleep(0.05)
print("ready", flush=True)
time.sleep(600)
"""


def test_libtorrent():
    try:
        import libtorrent as lt
    except ImportError:
        raise netns.Skip("python3-libtorrent is not installed")
    best = bound()
    with netns.Net() as net, SwarmGrid(net, WORKERS, *rates()) as g:
        g.make_input(SIZE, 1)
        fs = lt.file_storage()
        fs.add_file("big", SIZE)
        t = lt.create_torrent(fs, 256 * 1024, flags=lt.create_torrent.v2_only)
        lt.set_piece_hashes(t, g.dir)
        with open(g.path("big.torrent"), "wb") as f:
            f.write(lt.bencode(t.generate()))
        hosts = [g.chost] + g.hosts
        at = ["10.9.0.%d:6881" % (i + 1) for i in range(len(hosts))]
        clients = []
        before, began = g.seed_sent(), None
        try:
            for i, host in enumerate(hosts):
                save = g.dir if i == 0 else g.path("t%d" % i)
                os.makedirs(save, exist_ok=True)
                clients.append(subprocess.Popen(
                    host.argv([sys.executable, "-c", CLIENT, g.path("big.torrent"), save, at[i],
                               "1" if i == 0 else "0", ",".join(a for a in at if a != at[i])]),
                    stdout=subprocess.PIPE))
                if i == 0:
                    clients[0].stdout.readline()
            began = time.monotonic()
            took = []
            for c in clients[1:]:
                if c.stdout.readline() != b"ready\n":
                    raise AssertionError("a client ended early")
                took.append(time.monotonic() - began)
            show("libtorrent", max(took), min(took), g.seed_sent() - before, best)
        finally:
            for c in clients:
                c.kill()
                c.wait()
                c.stdout.close()


def use_a_python_that_has_it():
    """Debian's package serves Debian's python, which need not be the first in PATH."""
    debians = "/usr/bin/python3"
    try:
        import libtorrent  # noqa: F401
    except ImportError:
        if os.path.exists(debians) and os.path.realpath(sys.executable) != os.path.realpath(debians):
            os.execv(debians, [debians] + sys.argv)


if __name__ == "__main__":
    use_a_python_that_has_it()
    netns.main(globals())
