# SPDX-License-Identifier: Apache-2.0
"""bench_gossip.py [SECONDS]: what an idle worker spends on gossip, counted on the wire for minutes.

A worker joins the one before it through a proxy that counts; the first five minutes are a young worker's, who walks about. TCP
and IP headers are added by arithmetic: 52 bytes a packet, of which an exchange has three."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from grid import Grid  # noqa: E402
from proxy import Proxy  # noqa: E402
from test_gossip import PACKET, parts, peers, tell  # noqa: E402


def bench(seconds):
    with Grid(workers=1) as g:
        node, port, grid = parts(g.workers[0].ready[1])
        p = Proxy(port)
        w = g.add_worker(join="talkoot://%s@127.0.0.1:%d/%s" % (node, p.port, grid))
        for x in g.workers:
            tell(g, x, "pause")
        time.sleep(5)
        before, asks, began = p.up + p.down, len(p.asks), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(1)
        span = time.monotonic() - began
        wire = p.up + p.down - before + 3 * PACKET * (len(p.asks) - asks)
        print("%d s: %d exchanges, %.0f bytes/s with one neighbour, TCP/IP included; %.0f with four" %
              (span, len(p.asks) - asks, wire / span, 4 * wire / span))
        print("peers of the worker: %s" % peers(g, w))
        p.close()


bench(int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get("BENCH_SECONDS", "180")))
