"""Answers kept in memory with their ETags: an answer that is the same as before (304) costs nothing of the quota.

What is kept is the whole answer, and it is given again as if it had been sent: nothing depends on anything being
remembered, or on who stored it. GitHub's ETags hold for one URL and one token.
Docs: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

import httpx

from syncs.providers.kit.answers import Answer
from syncs.providers.kit.client import Client, with_params
from syncs.providers.kit.paging import Request

MOST_BYTES = 32 * 1024 * 1024  # of a process
KEPT_HEADERS = ("etag", "link")


@dataclass(frozen=True, slots=True)
class Kept:
    """A good answer's parts worth keeping."""

    etag: str
    headers: dict[str, str]
    body: bytes


class Memory:
    """The answers of a process, the longest unused forgotten first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes, self.size = most_bytes, 0
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, key: bytes) -> Kept | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: bytes, answer: Answer) -> None:
        """Keep an answer that has an ETag, in place of the one before."""
        before = self._kept.pop(key, None)
        self.size -= len(before.body) if before else 0
        etag = answer.headers.get("etag")
        if not etag or len(answer.body) > self.most_bytes:
            return
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        self._kept[key] = Kept(etag, headers, answer.body)
        self.size += len(answer.body)
        while self.size > self.most_bytes:
            self.size -= len(self._kept.popitem(last=False)[1].body)


MEMORY = Memory()


async def fetch(client: Client, request: Request, memory: Memory = MEMORY) -> Answer:
    """The answer to a GET; asked for only if it has changed, where the one before is remembered."""
    access = await client.access()
    words = (access.base_url, access.headers.get("Authorization", ""), with_params(request.path, request.params))
    key = hashlib.sha256("\0".join(words).encode()).digest()
    kept = memory.get(key)
    headers = {**request.headers, **({"If-None-Match": kept.etag} if kept else {})}
    answer = await client.get(request.path, request.params, headers)
    if kept is not None and answer.status == 304:
        return replace(answer, status=200, headers=httpx.Headers(kept.headers), body=kept.body)
    memory.keep(key, answer)
    return answer
