"""Written by hand, and well: httpx reads ahead, nats-py's `publish_async` keeps 1,024 in flight. Stores nothing."""

import asyncio

import httpx
import orjson
from publisher import UPSTREAM, Publisher


async def read(pages: asyncio.Queue) -> None:
    """Every page's records onto the queue, then None."""
    params = {"limit": 100}
    async with httpx.AsyncClient(timeout=60) as client:
        more = True
        while more:
            answer = await client.get(f"{UPSTREAM}/v1/customers", params=params)
            page = orjson.loads(answer.raise_for_status().content)
            await pages.put(page["data"])
            params["starting_after"], more = page["data"][-1]["id"], page["has_more"]
    await pages.put(None)


async def main() -> None:
    publisher = await Publisher.connect()
    pages: asyncio.Queue = asyncio.Queue(2)
    reading = asyncio.create_task(read(pages))
    while (records := await pages.get()) is not None:
        for record in records:
            await publisher.put(record)
    await publisher.flush()
    await reading
    await publisher.close()


asyncio.run(main())
