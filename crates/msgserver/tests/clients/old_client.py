#!/usr/bin/env python3
"""A client of the first msgserver's protocol that shares no code with the server.

It connects, agrees on a key if told to, sends its authentication text, and writes one JSON object a line to
standard output for each thing that comes: {"key"}, {"content"}, {"keepalive"}, {"refused"}, {"closed"}.
"""

import argparse
import base64
import json
import socket

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

# Long enough for the slowest machine; nothing passes by waiting for it.
PATIENCE = 60


def tell(**what):
    print(json.dumps(what), flush=True)


class Refused(Exception):
    """The server closed the connection; the text is what it said."""


class Connection:
    def __init__(self, address, cut):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cut = cut
        self.seen = b""

    def send(self, wire):
        step = self.cut or max(len(wire), 1)
        for at in range(0, len(wire), step):
            self.socket.sendall(wire[at : at + step])

    def read_some(self):
        """Appends what comes to `seen`; whether anything did."""
        some = self.socket.recv(65536)
        self.seen += some
        return bool(some)

    def read_exactly(self, count):
        while len(self.seen) < count:
            if not self.read_some():
                raise Refused(self.seen.decode())
        taken, self.seen = self.seen[:count], self.seen[count:]
        return taken


class Session:
    """The key that was agreed on."""

    def __init__(self, key):
        self.cipher = Cipher(algorithms.AES(key), modes.ECB())

    def seal(self, plain):
        padder, encryptor = PKCS7(128).padder(), self.cipher.encryptor()
        padded = padder.update(plain) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize())

    def open(self, text):
        unpadder, decryptor = PKCS7(128).unpadder(), self.cipher.decryptor()
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()


def characters(count):
    """How long the base64 of so many bytes is."""
    return (count + 2) // 3 * 4


def read_server_key(connection):
    # The length of a DER object stands in its first 4 bytes, if it is 256 bytes or longer, or in the third.
    head = connection.read_exactly(8)
    der = base64.b64decode(head)
    total = 4 + int.from_bytes(der[2:4], "big") if der[1] == 0x82 else 3 + der[2]
    rest = connection.read_exactly(characters(total) - len(head))
    return serialization.load_der_public_key(base64.b64decode(head + rest, validate=True))


def agree(connection, bits, break_lines):
    server = read_server_key(connection)
    own = rsa.generate_private_key(65537, bits)
    spki = own.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write = base64.encodebytes if break_lines else base64.b64encode
    plain = write(spki)
    size = server.key_size // 8 - 11
    parts = [plain[at : at + size] for at in range(0, len(plain), size)]
    connection.send(write(b"".join(server.encrypt(part, padding.PKCS1v15()) for part in parts)))
    reply = connection.read_exactly(characters(bits // 8))
    key = own.decrypt(base64.b64decode(reply, validate=True), padding.PKCS1v15())
    assert len(key) == 16, key
    tell(key=key.hex(), server_bits=server.key_size)
    return Session(key)


def frames(connection, session):
    while True:
        while connection.seen.startswith(b"\0"):
            connection.seen = connection.seen[1:]
            tell(keepalive=True)
        frame, bar, rest = connection.seen.partition(b"|")
        if bar:
            connection.seen = rest
            tell(content=json.loads(session.open(frame) if session else frame))
        elif not connection.read_some():
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--encrypt", type=int, metavar="BITS", help="handshake with a key of so many bits")
    parser.add_argument("--break-lines", action="store_true", help="break the lines of base64 in the handshake")
    parser.add_argument("--text", help="the authentication text")
    parser.add_argument("--end", default="", help="what ends it")
    parser.add_argument("--stray", default="", help="bytes, in hex, between the handshake and the text")
    parser.add_argument("--raw", help="bytes, in hex, instead of the text")
    parser.add_argument("--cut", type=int, help="bytes a write")
    options = parser.parse_args()

    connection, session = Connection(options.address, options.cut), None
    try:
        if options.encrypt:
            session = agree(connection, options.encrypt, options.break_lines)
        connection.send(bytes.fromhex(options.stray))
        if options.text is not None:
            text = options.text.encode()
            connection.send((session.seal(text) if session else text) + options.end.encode())
        if options.raw is not None:
            connection.send(bytes.fromhex(options.raw))
        frames(connection, session)
        if connection.seen:
            raise Refused(connection.seen.decode())
    except Refused as refusal:
        tell(refused=str(refusal))
    tell(closed=True)


main()
