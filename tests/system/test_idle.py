# SPDX-License-Identifier: Apache-2.0
"""What six idle workers have on the wire, on machines of the test's own: frames are counted, Ethernet's heads included."""
import time

import netns
from test_partition import Halves, Meter, say_rates

BUDGET = 300  # bytes a second
SETTLE_S, WINDOW_S = 90, 120


def within_budget(what, g, settle_s, window_s):
    """Count frames at every worker for `window_s` after `settle_s`, what is asked of the coordinator included, and what is said
    to the local network. The rest, which is printed, is the kernels' (ARP, ICMPv6): of a broadcast each counts all others'."""
    time.sleep(settle_s)  # an idle grid does nothing that could be awaited
    meters = [(w, Meter(w.host, "10.9.0.1")) for w in g.workers]
    time.sleep(window_s)
    rates = say_rates(what, meters)
    for _, m in meters:
        m.close()
    for (w, _), r in zip(meters, rates):
        assert r["coordinator"] + r["peers"] + r["datagrams"] < BUDGET, (what, w.name, r)
        assert r["peers"] > 0, (what, w.name, r)


def test_an_idle_worker_stays_within_its_budget_joined_and_in_halves():
    """The first minutes of new workers, who look about, are not counted; nor those after the cut, when neighbours are
    replaced."""
    with netns.Net() as net, Halves(net, 6) as g:
        within_budget("joined", g, SETTLE_S, WINDOW_S)
        net.cut(g.trunk)
        within_budget("in halves", g, SETTLE_S, WINDOW_S)


if __name__ == "__main__":
    netns.main(globals())
