# SPDX-License-Identifier: Apache-2.0
"""tap.py: whoever has a node's key can sit before it and read what others tell it, TLS or not. The tests have the coordinator's, and
so see the wire as it is inside. Alters nothing; holds no test itself."""
import os
import socket
import ssl
import threading

from grid import run


class Tap:
    """Takes connections on loopback with the key in `key_file`, and passes what comes on to 127.0.0.1:`port`. `streams` has, of
    each connection and each way, all bytes."""

    def __init__(self, key_file, port, scratch):
        cert = os.path.join(scratch, "tap.pem")
        run(["openssl", "req", "-x509", "-new", "-key", key_file, "-subj", "/CN=talkoot", "-days", "2", "-out", cert])
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(cert, key_file)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname, self.client.verify_mode = False, ssl.CERT_NONE
        self.behind, self.streams, self.open = port, [], True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        try:
            with self.server.wrap_socket(near, server_side=True) as n, \
                    socket.create_connection(("127.0.0.1", self.behind)) as raw, self.client.wrap_socket(raw) as far:
                up, down, ends, lock = bytearray(), bytearray(), threading.Event(), threading.Lock()
                self.streams += [up, down]
                t = threading.Thread(target=self.copy, args=(n, far, up, ends, lock), daemon=True)
                t.start()
                self.copy(far, n, down, ends, lock)
                t.join()
        except OSError:
            pass

    def copy(self, source, sink, kept, ends, lock):
        source.settimeout(0.5)
        try:
            while self.open and not ends.is_set():
                try:
                    data = source.recv(65536)
                except (TimeoutError, ssl.SSLWantReadError):
                    continue
                if not data:
                    break
                kept += data
                while data:
                    try:
                        data = data[sink.send(data):]
                    except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        continue
        except OSError:
            pass
        ends.set()

    def close(self):
        self.open = False
        self.listener.close()
