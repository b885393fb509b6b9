# SPDX-License-Identifier: Apache-2.0
"""swarmnet.py: a grid whose coordinator and workers are machines of their own with slow uplinks, and a job whose
input they all need. Used by test_swarm.py, test_share.py and bench_swarm.py; holds no test itself."""
import base64
import hashlib
import http.client
import json
import os
import random
import time

from grid import Grid, Proc, any_tls, compile_static, program, run, wait_for

MIB = 1 << 20
READER = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	unsigned long sum = 5381;
	FILE *f = fopen("/in/big", "rb");
	int c;
	if (!f || argc < 2)
		return 2;
	while ((c = getc_unlocked(f)) != EOF)
		sum = sum * 33 + (unsigned char)c;
	printf("%lx\n", sum);
	return 0;
}
"""


def checksum(data):
    s = 5381
    for b in data:
        s = (s * 33 + b) & 0xffffffffffffffff
    return "%x\n" % s


def https(port_of_link, host="127.0.0.1"):
    return http.client.HTTPSConnection(host, port_of_link, timeout=60, context=any_tls())


def swarm_post(connection, grid, digest, have=b"", more=()):
    body = {"grid": grid, "node": "11" * 32, "digest": "sha256:" + digest,
            "have": base64.b64encode(have).decode(), "wait_ms": 0}
    body.update(more)
    connection.request("POST", "/v1/swarm", json.dumps(body))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def pieces_in(have):
    bits = "".join("%08d" % int(bin(b)[2:]) for b in base64.b64decode(have))
    return {i for i, bit in enumerate(bits) if bit == "1"}


class SwarmGrid(Grid):
    """The coordinator at 10.9.0.1 and workers from 10.9.0.2 on, each on a host of `net`, all on one switch. What they
    send is shaped (tc rates; None: not); what they get is not."""

    def __init__(self, net, workers, seed_rate, worker_rate, worker_args=()):
        self.net = net
        self.switch = net.switch("lan")
        self.worker_rate = worker_rate
        self.worker_args = list(worker_args)
        self.hosts = []
        self.chost = net.host("c")
        net.plug(self.chost, self.switch, "10.9.0.1/16", rate=seed_rate)
        super().__init__(workers=0, coordinator_args=[])
        for _ in range(workers):
            self.add_host()

    def coordinator_listens(self):
        return "10.9.0.1:%d" % self.port

    def at_coordinator(self, argv):
        return self.chost.argv(argv)

    def cli(self, *args, code=0, stdin=None):
        return run(self.chost.argv([program("talkoot")] + list(args)), self.env, code, stdin, cwd=self.dir)

    def job(self, job):
        with self.chost.inside():
            return super().job(job)

    def add_host(self):
        i = len(self.hosts)
        host = self.net.host("w%d" % i)
        self.net.plug(host, self.switch, "10.9.0.%d/16" % (i + 2), rate=self.worker_rate)
        self.hosts.append(host)
        return host

    def start_worker(self, i, listen=True, args=()):
        host, at = self.hosts[i], "10.9.0.%d:7070" % (i + 2)
        argv = [program("talkoot-worker"), "--data", self.path("w%d" % i), "--join", self.link, "--slots", "1",
                "--disk", "1024"]
        argv += ["--listen", at, "--advertise", at] if listen else ["--listen", "none"]
        w = Proc(host.argv(argv + self.worker_args + list(args)), self.path("w%d.log" % i), self.env)
        w.name, w.host, w.index = "w%d" % i, host, i
        w.at = at if listen and "--listen" not in args else None
        self.procs.append(w)
        self.workers.append(w)
        return w

    def start_workers(self, first=0):
        for i in range(first, len(self.hosts)):
            self.start_worker(i)
        for w in self.workers:
            if w.ready is None:
                w.wait_ready()
        wait_for("the workers' addresses to be published", self.all_published)

    def all_published(self):
        """Whether the coordinator knows where each is that others can reach: it has been called back there."""
        known = {address for (address,) in self.db("SELECT address FROM worker")}
        return known >= {w.at for w in self.workers if w.at}

    def worker_word(self, w, word):
        return run([program("talkoot-worker"), "--data", self.path(w.name), word], self.env)

    # --- the shared input
    def make_input(self, size, seed):
        self.data = random.Random(seed).randbytes(size)
        self.digest = hashlib.sha256(self.data).hexdigest()
        with open(self.path("big"), "wb") as f:
            f.write(self.data)
        self.reader = compile_static(READER, self.path("reader"))

    def submit_readers(self, tasks):
        return self.submit("--range", str(tasks), "--quorum", "1", "--profile", "files", "--file",
                           "big=" + self.path("big"), "--wall", "600", "--", self.reader, "{index}")

    def blob_of(self, w):
        return self.path(w.name, "blobs", "sha256", self.digest[:2], self.digest)

    def has(self, w):
        return os.path.exists(self.blob_of(w))

    def wait_spread(self, workers, seconds=600):
        """Until all of them have it: how long each took, in s, from now on."""
        began, took = time.monotonic(), {}

        def all_have():
            for w in workers:
                if w.name not in took and self.has(w):
                    took[w.name] = time.monotonic() - began
            return len(took) == len(workers)

        wait_for("the input to reach all %d workers" % len(workers), all_have, seconds)
        return took

    def check_digests(self, workers):
        for w in workers:
            with open(self.blob_of(w), "rb") as f:
                assert hashlib.sha256(f.read()).hexdigest() == self.digest, w.name

    def seed_sent(self):
        return self.chost.counters(self.chost.devices[0])[1]
