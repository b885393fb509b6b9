# SPDX-License-Identifier: Apache-2.0
"""proxy.py: a TCP proxy on loopback that counts what passes and touches nothing. Holds no test itself."""
import selectors
import socket
import threading


class Proxy:
    """Forwards to 127.0.0.1:`port`. `up` and `down` are bytes, `asks` the sizes of bursts upwards: what was sent until
    something came down."""

    def __init__(self, port):
        self.port_behind = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.up = self.down = self.connections = 0
        self.asks, self.answers = [0], [0]
        self.upward = True
        self.lock = threading.Lock()
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port_behind))
            except OSError:
                return
            self.connections += 1
            self.open += [near, far]
            threading.Thread(target=self.pump, args=(near, far), daemon=True).start()

    def count(self, n, up):
        with self.lock:
            if up:
                self.up += n
            else:
                self.down += n
            mine = self.asks if up else self.answers
            if up != self.upward:
                mine.append(0)
                self.upward = up
            mine[-1] += n

    def pump(self, near, far):
        s = selectors.DefaultSelector()
        s.register(near, selectors.EVENT_READ, far)
        s.register(far, selectors.EVENT_READ, near)
        try:
            while True:
                for key, _ in s.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    self.count(len(data), key.fileobj is near)
                    key.data.sendall(data)
        except OSError:
            pass
        finally:
            near.close()
            far.close()

    def close(self):
        self.listener.close()
        for s in self.open:
            s.close()
