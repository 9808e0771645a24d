"""Just enough of MongoDB's wire protocol to count collections and drop a database: no driver is in the library."""
import socket
import struct


def run(host, port, database, command):
    """Runs one command, whose values are strings, integers, booleans and documents; its reply as a dict."""
    body = encode({**command, "$db": database})
    message = struct.pack("<iB", 0, 0) + body
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(struct.pack("<iiii", 16 + len(message), 1, 0, 2013) + message)
        length, = struct.unpack("<i", read(connection, 4))
        reply = read(connection, length - 4)
    # After the length: three numbers of the header, the flags, the kind of the only section.
    answer = decode(reply, 12 + 4 + 1)[0]
    if answer.get("ok") != 1:
        raise OSError(f"mongodb: {answer.get('errmsg')}")
    return answer


def read(connection, length):
    """Exactly so many bytes."""
    parts = b""
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise OSError("mongodb: connection closed")
        parts += part
    return parts


def encode(document):
    """A document as BSON."""
    parts = b""
    for key, value in document.items():
        name = key.encode() + b"\0"
        if isinstance(value, bool):
            parts += b"\x08" + name + bytes([value])
        elif isinstance(value, int):
            parts += b"\x10" + name + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            parts += b"\x02" + name + struct.pack("<i", len(text)) + text
        else:
            parts += b"\x03" + name + encode(value)
    return struct.pack("<i", len(parts) + 5) + parts + b"\0"


# What a value of a type takes where nobody here reads it: ObjectId, date, timestamp, decimal.
OPAQUE = {0x07: 12, 0x09: 8, 0x11: 8, 0x13: 16}
NUMBERS = {0x01: "<d", 0x10: "<i", 0x12: "<q"}


def decode(data, at):
    """The document at a position, and the position after it."""
    end = at + struct.unpack_from("<i", data, at)[0]
    at += 4
    document = {}
    while data[at] != 0:
        kind = data[at]
        stop = data.index(b"\0", at)
        key = data[at + 1:stop].decode()
        document[key], at = value(kind, data, stop + 1)
    return document, end


def value(kind, data, at):
    """A value of a type at a position, and the position after it."""
    if kind in NUMBERS:
        return struct.unpack_from(NUMBERS[kind], data, at)[0], at + struct.calcsize(NUMBERS[kind])
    if kind == 0x02:
        length, = struct.unpack_from("<i", data, at)
        return data[at + 4:at + 3 + length].decode(), at + 4 + length
    if kind == 0x03:
        return decode(data, at)
    if kind == 0x04:
        items, at = decode(data, at)
        return list(items.values()), at
    if kind == 0x05:
        return None, at + 5 + struct.unpack_from("<i", data, at)[0]
    if kind == 0x08:
        return data[at] == 1, at + 1
    if kind == 0x0A:
        return None, at
    if kind in OPAQUE:
        return None, at + OPAQUE[kind]
    raise OSError(f"mongodb: a value of type {kind:#x}")
