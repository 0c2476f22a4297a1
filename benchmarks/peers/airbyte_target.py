"""Airbyte messages on stdin; every RECORD is published."""

import asyncio
import sys

import orjson
from publisher import Publisher


async def main() -> None:
    publisher = await Publisher.connect()
    for number, line in enumerate(sys.stdin.buffer):
        message = orjson.loads(line) if line.startswith(b"{") else {}
        if message.get("type") == "RECORD":
            await publisher.put(message["record"]["data"])
        if number % 100 == 0:
            await asyncio.sleep(0)  # reading lines never waits: let acks in
    await publisher.flush()
    await publisher.close()


asyncio.run(main())
