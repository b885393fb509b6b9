# SPDX-License-Identifier: Apache-2.0
"""--map-port against routers that are a few lines of python, on loopback: the port is opened, renewed, published
once somebody got through, and closed when the worker ends, however it ends."""
import http.server
import random
import re
import socket
import struct
import threading

import grid
from grid import Grid, free_port, get_json, log_of, wait_for

SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


class NatPmp:
    """A router that speaks NAT-PMP (RFC 6886) at an address of 127/8 of its own."""

    def __init__(self, lease=3600, refuse=0, times=1):
        self.lease, self.refuse = lease, refuse
        self.times = times  # how often the question for its address is answered, as by a router that is slow
        self.maps, self.removed, self.asked = {}, [], 0
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = "127.%d.%d.%d" % tuple(random.SystemRandom().randrange(1, 255) for _ in range(3))
        self.s.bind((self.address, 5351))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                data, who = self.s.recvfrom(100)
            except OSError:
                return
            if data == b"\0\0":
                for _ in range(self.times):
                    self.s.sendto(struct.pack("!BBHI4s", 0, 128, self.refuse, 1, socket.inet_aton("192.0.2.7")), who)
            elif len(data) == 12 and data[1] == 2:
                _, _, _, inside, outside, lease = struct.unpack("!BBHHHI", data)
                self.asked += 1
                if lease:
                    self.maps[inside] = outside or inside
                    lease = self.lease
                else:
                    assert outside == 0, outside
                    self.maps.pop(inside, None)
                    self.removed.append(inside)
                self.s.sendto(struct.pack("!BBHIHHI", 0, 130, self.refuse, 1, inside, outside if lease else 0, lease), who)

    def close(self):
        self.s.close()


class Upnp(http.server.BaseHTTPRequestHandler):
    """A router's description and the three calls that are made."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_GET(self):
        device = "urn:schemas-upnp-org:device:%s:1"
        self.send("""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major>
<minor>0</minor></specVersion><device><deviceType>%s</deviceType><deviceList><device><deviceType>%s</deviceType>
<deviceList><device><deviceType>%s</deviceType><serviceList><service><serviceType>%s</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><controlURL>/ctl</controlURL><eventSubURL>/evt</eventSubURL>
<SCPDURL>/scpd.xml</SCPDURL></service></serviceList></device></deviceList></device></deviceList></device></root>"""
                  % (device % "InternetGatewayDevice", device % "WANDevice", device % "WANConnectionDevice", SERVICE))

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = self.headers["SOAPAction"].strip('"').split("#")[1]
        field = lambda name: (re.search("<%s>([^<]*)</%s>" % (name, name), text) or [None, ""])[1]
        router, out, code = self.server, "", 0
        if action == "AddPortMapping":
            outside = int(field("NewExternalPort"))
            code = 718 if outside in router.taken else 725 if router.permanent and field("NewLeaseDuration") != "0" else 0
            if not code:
                router.maps[outside] = (field("NewInternalClient"), int(field("NewInternalPort")), field("NewProtocol"))
        elif action == "DeletePortMapping":
            router.maps.pop(int(field("NewExternalPort")), None)
            router.removed.append(int(field("NewExternalPort")))
        elif action == "GetExternalIPAddress":
            out = "<NewExternalIPAddress>192.0.2.8</NewExternalIPAddress>"
        envelope = ('<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s'
                    "</s:Body></s:Envelope>")
        if code:
            self.send(envelope % ("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
                                  '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode>'
                                  "</UPnPError></detail></s:Fault>" % code), 500)
        else:
            self.send(envelope % ('<u:%sResponse xmlns:u="%s">%s</u:%sResponse>' % (action, SERVICE, out, action)))


def upnp_router(taken=(), permanent=False):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upnp)
    s.maps, s.removed, s.taken, s.permanent = {}, [], set(taken), permanent
    s.url = "http://127.0.0.1:%d/root.xml" % s.server_address[1]
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


def start(g, port, gateway):
    return g.add_worker(listen="0.0.0.0:%d" % port,
                        args=["--local-discovery", "off", "--map-port", "--gateway", gateway])


def published(g, w):
    return [x["address"] for x in get_json(g.admin_url + "/v1/workers")["workers"] if x["id"] == w.id]


def test_nat_pmp_opens_a_port_and_what_was_reached_is_published():
    router, port = NatPmp(), free_port()
    with Grid() as g:
        w = start(g, port, router.address)
        wait_for("the port to be published", lambda: published(g, w) == ["127.0.0.1:%d" % port])
        assert router.maps == {port: port} and "listens for us at 192.0.2.7:%d" % port in log_of(w)
        assert w.stop() == 0
        wait_for("the port to be closed", lambda: router.removed == [port])
    router.close()


def test_an_answer_that_comes_twice_is_not_taken_for_the_next_one():
    router, port = NatPmp(times=3), free_port()
    with Grid() as g:
        w = start(g, port, router.address)
        wait_for("it to be told", lambda: "listens for us" in log_of(w) or "--map-port: " in log_of(w))
        assert "listens for us at 192.0.2.7:%d" % port in log_of(w), log_of(w)
    router.close()


def test_it_is_renewed_and_closed_even_after_kill_9():
    router, port = NatPmp(lease=2), free_port()
    with Grid() as g:
        w = start(g, port, router.address)
        wait_for("three renewals", lambda: router.asked >= 4)
        assert log_of(w).count("listens for us") == 1 and not router.removed
        w.kill()
        wait_for("the port to be closed", lambda: router.removed == [port])
        # and whoever starts on that folder again is not kept out by what was left
        start(g, port, router.address)
    router.close()


def test_upnp_opens_a_port_and_what_was_reached_is_published():
    router, port = upnp_router(), free_port()
    with Grid() as g:
        w = start(g, port, router.url)
        wait_for("the port to be published", lambda: published(g, w) == ["127.0.0.1:%d" % port])
        assert router.maps == {port: ("127.0.0.1", port, "TCP")}, router.maps
        assert "listens for us at 192.0.2.8:%d" % port in log_of(w)
        assert w.stop() == 0
        wait_for("the port to be closed", lambda: router.removed == [port])
    router.shutdown()


def test_upnp_takes_another_port_and_a_lease_without_end():
    port = free_port()
    router = upnp_router(taken=[port], permanent=True)
    with Grid() as g:
        w = start(g, port, router.url)
        wait_for("another port", lambda: router.maps)
        outside = list(router.maps)[0]
        assert outside != port and router.maps[outside] == ("127.0.0.1", port, "TCP")
        # this router only pretends to forward: nobody gets through, so nothing is published
        wait_for("it to be told", lambda: "not reachable" in log_of(w))
        assert published(g, w) in ([], [""])
        w.stop()
        wait_for("the port to be closed", lambda: router.removed == [outside])
    router.shutdown()


class Endless:
    """Somebody who answers for the router, and does not stop."""
    ENOUGH = 600 * 1024 * 1024

    def __init__(self):
        self.s = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/root.xml" % self.s.getsockname()[1]
        self.sent, self.over = 0, threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        c, _ = self.s.accept()
        try:
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n")
            while self.sent < self.ENOUGH:
                self.sent += c.send(b" " * (1 << 20))
        except OSError:
            pass
        c.close()
        self.over.set()


def test_a_router_that_does_not_stop_talking_does_not_fill_the_memory():
    router = Endless()
    with Grid() as g:
        w = start(g, free_port(), router.url)
        wait_for("it to be told", lambda: "--map-port: " in log_of(w))
        assert router.over.wait(60)
        print("     %d MiB were taken" % (router.sent >> 20))
        assert 0 < router.sent < router.ENOUGH, router.sent
        assert w.stop() == 0


def test_a_router_that_refuses_or_is_not_there_is_told_in_a_sentence_and_the_worker_works():
    router = NatPmp(refuse=2)
    with Grid() as g:
        for gateway, says in ((router.address, "refused"), ("127.0.0.1", "NAT-PMP"),
                              ("http://127.0.0.1:%d/x" % free_port(), "describes no router")):
            w = start(g, free_port(), gateway)
            wait_for("it to be told", lambda: "--map-port: " in log_of(w))
            assert says in log_of(w), log_of(w)
            wait_for("it to be known", lambda: published(g, w) == [""])
    router.close()


def test_wrong_use_is_exit_2():
    with Grid() as g:
        for args, says in ((["--listen", "none", "--map-port"], "--map-port"), (["--listen", "127.0.0.1:0", "--map-port"], "--map-port"),
                           (["--gateway", "router"], "--gateway")):
            grid.run([grid.program("talkoot-worker"), "--data", g.path("x"), "--join", g.link] + args, g.env, 2)
            assert says in grid.run.stderr, grid.run.stderr


grid.main(globals())
