"""A client from the library `websockets`, driven by a test.

    websocket_client.py URL SUBPROTOCOL [HEADER=VALUE]...

Each line of standard input is an object that is sent as a frame, or `close`. Each frame that comes is printed as a line
of JSON, and at last {"closed": status, "reason": text}, or {"refused": status}.
"""

import asyncio
import json
import sys

import websockets

MSGPACK = "msgserver.v1.msgpack"


async def main(url, subprotocol, *headers):
    if subprotocol == MSGPACK:
        import msgpack

        pack, unpack = msgpack.packb, msgpack.unpackb
    else:
        pack, unpack = json.dumps, json.loads

    def show(value):
        print(json.dumps(value), flush=True)

    try:
        socket = await websockets.connect(
            url,
            subprotocols=[subprotocol],
            additional_headers=[tuple(header.split("=", 1)) for header in headers],
        )
    except websockets.exceptions.InvalidStatus as refused:
        return show({"refused": refused.response.status_code})
    assert socket.subprotocol == subprotocol

    async def say():
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while line := (await lines.readline()).decode().strip():
            if line == "close":
                return await socket.close()
            await socket.send(pack(json.loads(line)))

    saying = asyncio.create_task(say())
    try:
        async for frame in socket:
            assert isinstance(frame, bytes if subprotocol == MSGPACK else str)
            show(unpack(frame))
    except websockets.exceptions.ConnectionClosed:
        pass
    saying.cancel()
    show({"closed": socket.close_code, "reason": socket.close_reason})


# Gives up in the end: a test that waits for what does not come is to fail.
asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 60))
