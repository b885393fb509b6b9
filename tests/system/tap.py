# SPDX-License-Identifier: Apache-2.0
"""tap.py: whoever has a node's key can sit before it and read what others tell it, TLS or not. The tests have the coordinator's, and
so see the wire as it is inside. Alters nothing; holds no test itself."""
import os
import select
import socket
import ssl
import threading

from grid import PATIENCE, run


def pass_on(source, sink, kept):
    """What has come, whole; False: the source has ended."""
    try:
        data = source.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    kept += data
    sink.settimeout(PATIENCE)
    sink.sendall(data)
    sink.settimeout(0)
    return bool(data)


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
                up, down = bytearray(), bytearray()
                self.streams += [up, down]
                n.settimeout(0)
                far.settimeout(0)
                while self.open:  # one thread for both ways: an SSLSocket is not for two at once
                    if not (n.pending() or far.pending()):
                        select.select([n, far], [], [], 0.5)
                    if not (pass_on(n, far, up) and pass_on(far, n, down)):
                        return
        except OSError:
            pass

    def close(self):
        self.open = False
        self.listener.close()
