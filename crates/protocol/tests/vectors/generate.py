#!/usr/bin/env python3
"""Writes frames.json: what an independent implementation puts on the wire and expects there.

Needs the package `msgpack`:

    python3 generate.py > frames.json
"""

import json
import struct

import msgpack


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def prefixed(payload):
    return (struct.pack(">I", len(payload)) + payload).hex()


def both(value):
    return {"json": prefixed(compact(value).encode()), "msgpack": prefixed(msgpack.packb(value))}


CONTENTS = [
    "hello",
    "",
    "a|b||c|",
    'quote " and backslash \\ and |',
    "tab\tline\nbell\x07nul\x00",
    "你好，世界 – schöne Grüße – 🦀",
    "x" * 300,
    0,
    -1,
    127,
    128,
    -33,
    65535,
    4294967296,
    -9223372036854775808,
    18446744073709551615,
    1.5,
    1.303110576155895e-284,
    0.1,
    1e300,
    True,
    None,
    [],
    {},
    {"a|b": ["|", {"c": None}], "n": [1, 2.25, False]},
    list(range(20)),
]

CLIENT_FRAMES = [
    {"type": "hello"},
    {"type": "hello", "user": "ada", "device": "phone", "token": "s;e|c", "topics": ["news", "a b"]},
    {"type": "hello", "user": "小甘", "unknown": {"deep": [1, 2, 3]}},
    {"type": "ack", "seq": 0},
    {"type": "ack", "seq": 18446744073709551615},
    {"type": "subscribe", "topic": "news"},
    {"type": "unsubscribe", "topic": "news"},
    {"type": "ping"},
    {"type": "publish", "ref": 7, "message": {"to": {"user": "ada"}, "content": {"n": [1, 2.5, None]}}},
]

# Each is whole, and none is a frame that a client may send.
NO_FRAMES = [
    None,
    [],
    "ping",
    {},
    {"type": "dance"},
    {"type": "ack"},
    {"type": "ack", "seq": -1},
    {"type": "ack", "seq": "1"},
    {"type": "hello", "user": ""},
    {"type": "hello", "user": "line\nbreak"},
    {"type": "hello", "device": "x" * 257},
    {"type": "subscribe", "topic": 1},
]


def message(content, seq=None):
    frame = {"type": "message", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    if seq is not None:
        frame["seq"] = seq
    return frame | {"content": content, "sent_at": "2026-01-31T12:00:00.123Z"}


def main():
    document = {
        "default": [
            {"content": compact(content), "frame": compact(content).replace("|", "\\u007c") + "|"}
            for content in CONTENTS
        ],
        "msgpack": [{"content": compact(content), "bytes": msgpack.packb(content).hex()} for content in CONTENTS],
        "messages": [
            {"content": compact(content), "seq": seq, **both(message(content, seq))}
            for content in CONTENTS
            for seq in (None, 3)
        ],
        "client": [{"frame": frame, **both(frame)} for frame in CLIENT_FRAMES],
        "no_frames": [{"frame": frame, **both(frame)} for frame in NO_FRAMES],
    }
    print(json.dumps(document, indent=1, ensure_ascii=False))


main()
