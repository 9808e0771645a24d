"""Counts what a tool sends to PostgreSQL: a proxy between the two that reads the frames of protocol 3.

It refuses encryption, as a server without certificates does, and passes all else on unchanged. No server setting and no
log is needed, and what cached statements or several statements in one message do to a count is seen as it is.
"""
import socket
import struct
import threading

# The first message of a connection that asks for TLS or for GSSAPI encryption has this number for a version.
ENCRYPTION = {80877103, 80877104}


class Proxy:
    """Listens on a free loopback port while inside its `with`."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.messages = 0    # queries and executions sent: about the round trips
        self.statements = 0  # statements the server completed: more where a message holds several
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        """A pair of threads for each connection."""
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self.target)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.from_client, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, b"C", False), daemon=True).start()

    def from_client(self, client, server):
        """The start of a connection has messages without a type."""
        with client.makefile("rb", buffering=0) as stream:
            while True:
                head = exactly(stream, 8)
                if head is None:
                    server.close()
                    return
                length, version = struct.unpack(">ii", head)
                if version not in ENCRYPTION:
                    break
                client.sendall(b"N")
            server.sendall(head + exactly(stream, length - 8))
        self.pass_on(client, server, b"QE", True)

    def pass_on(self, source, sink, counted, are_messages):
        """Copies bytes, and counts the frames whose type is one of `counted`."""
        pending = b""
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                pending, found = frames(pending + data, counted)
                if found:
                    with self.lock:
                        self.messages += found if are_messages else 0
                        self.statements += 0 if are_messages else found
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()


def frames(data, counted):
    """The bytes of the last frame if it is not whole, and how many whole frames have one of the types."""
    at = found = 0
    while len(data) - at >= 5:
        end = at + 1 + struct.unpack_from(">i", data, at + 1)[0]
        if end > len(data):
            break
        found += data[at] in counted
        at = end
    return data[at:], found


def exactly(stream, length):
    """So many bytes; None where the connection ended."""
    parts = b""
    while len(parts) < length:
        part = stream.read(length - len(parts))
        if not part:
            return None
        parts += part
    return parts
