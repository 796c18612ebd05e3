"""A client under TLS of Python's own library. It writes each line of its input as a frame of the `frame` protocol, or
as it is with `--bar`, and prints each frame that comes."""

import argparse
import socket
import ssl
import struct
import sys
import threading

parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("authority")
parser.add_argument("--bar", action="store_true")
parser.add_argument("--certificate")
parser.add_argument("--key")
options = parser.parse_args()

context = ssl.create_default_context(cafile=options.authority)
if options.certificate:
    context.load_cert_chain(options.certificate, options.key)
host, port = options.address.rsplit(":", 1)
connection = context.wrap_socket(
    socket.create_connection((host, int(port))), server_hostname="localhost", suppress_ragged_eofs=False
)


def tell():
    for line in sys.stdin:
        text = line.rstrip("\n").encode()
        connection.sendall(text if options.bar else struct.pack(">I", len(text)) + text)


threading.Thread(target=tell, daemon=True).start()


def read(enough):
    """What has come once it is enough; nothing at the end, which the server has to announce."""
    heard = b""
    while not enough(heard):
        piece = connection.recv(1 if options.bar else 4 - len(heard) if len(heard) < 4 else wanted(heard))
        if not piece:
            return None
        heard += piece
    return heard


def wanted(heard):
    return 4 + struct.unpack(">I", heard[:4])[0] - len(heard)


def is_frame(heard):
    return len(heard) >= 4 and wanted(heard) == 0


while (frame := read((lambda heard: heard.endswith(b"|")) if options.bar else is_frame)) is not None:
    text = frame[:-1].strip(b"\0") if options.bar else frame[4:]
    print(text.decode(), flush=True)
print("closed", flush=True)
