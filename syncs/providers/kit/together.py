"""Requests side by side: how many leave at once is the client's business."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

_Read = TypeVar("_Read")


async def together(reads: Iterable[Awaitable[_Read]]) -> list[_Read]:
    """The results of all, in order. All are over when one fails: none is left running behind the caller's back."""
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
