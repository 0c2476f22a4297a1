"""Trying a list while its definition is written: what was asked, what came as records, and what is odd."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode

import msgspec

from syncs.providers.custom.definition import CustomCollection, Definition, OnePage
from syncs.providers.custom.errors import CHECK
from syncs.providers.custom.lists import Lists
from syncs.providers.custom.values import moment_at, text_at
from syncs.providers.kit import raw
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import ProviderError, UnexpectedShape
from syncs.providers.kit.mask import excerpt, masked
from syncs.providers.kit.paging import Request, fetch

SHOWN = 20
DEEPEST = 4
MASK = "***"


@dataclass(frozen=True)
class Finding:
    """Something odd, in words. `field`: what of the collection to look at."""

    what: str
    next_step: str
    is_error: bool = True
    field: str = ""


@dataclass(frozen=True)
class Row:
    """One record as it would be stored; empty texts where the definition finds nothing."""

    id: str
    updated_at: str
    created_at: str
    data: str


@dataclass
class Trial:
    """request: as sent, secrets masked. total: records on the page; rows: the first of them. further: in words."""

    request: str
    status: int | None = None
    total: int = 0
    rows: list[Row] = field(default_factory=list)
    further: str = ""
    findings: list[Finding] = field(default_factory=list)
    answer: str = ""

    @property
    def is_good(self) -> bool:
        return not any(each.is_error for each in self.findings)


async def trial(definition: Definition, collection: CustomCollection, client: Client) -> Trial:
    """The first page of a list, and whether the second differs. Upstream's refusals are findings; raises nothing."""
    lists, request = Lists(definition, client), Request(definition.base_url + collection.path)
    tried = Trial(f"GET {request.path}")
    try:
        request = await lists.request(collection, None, {})
        tried.request = await _shown(request, client)
        answer = await fetch(client, request)
    except ProviderError as error:
        return _refused(tried, error)
    access = await client.access()
    secrets = [word for value in (*access.headers.values(), *access.params.values()) for word in value.split()]
    tried.status, tried.answer = answer.status, excerpt(answer.body, secrets)
    try:
        items = raw.records_at(answer.body, collection.list_at)
    except UnexpectedShape as error:
        tried.findings.append(Finding(error.message, _lists_in(answer.body), field="list_at"))
        return tried
    tried.total = len(items)
    tried.rows = [_row(collection, item, secrets) for item in items[:SHOWN]]
    tried.findings += _oddities(collection, tried.rows, items)
    if answer.date is None:
        tried.findings.append(
            Finding(
                "The answer tells no time (header Date).",
                "Changes by a time need it.",
                collection.incremental is not None,
            )
        )
    if tried.is_good:
        await _turn(tried, lists, collection)
    return tried


async def _turn(tried: Trial, lists: Lists, collection: CustomCollection) -> None:
    """Whether pages turn: the second has other records."""
    try:
        pages = lists.pages(collection)
        first = await anext(pages)
        if first.place is None:
            tried.further = "This was all of it."
            if isinstance(collection.paging, OnePage) and len(first.records) >= collection.size:
                what, step = "The page is full, so there may be more.", "Say how the list goes on."
                tried.findings.append(Finding(what, step, False, "paging"))
            return
        second = await anext(pages)
    except ProviderError as error:
        tried.findings.append(Finding(f"The next page: {error.message}", error.next_step, field="paging"))
        return
    if second.seen and second.seen == first.seen:
        what = "The next page has the same records again."
        tried.findings.append(Finding(what, "The API does not turn pages this way: choose another.", field="paging"))
    elif second.records:
        tried.further = f"The next page has {len(second.records):,} more, and was read too."
    else:
        tried.further = "The next page is empty: this was all of it."


def _refused(tried: Trial, error: ProviderError) -> Trial:
    status, _, body = error.detail.partition(" ")
    tried.status = int(status) if status.isdigit() else None
    tried.answer = body if tried.status else ""
    step = error.next_step if error.next_step != CHECK else "Check base URL, path and parameters."
    tried.findings.append(Finding(error.message, step))
    return tried


async def _shown(request: Request, client: Client) -> str:
    """`GET https://api.acme.com/contacts?limit=100&api_key=***`, then the headers that carry something."""
    access = await client.access()
    params = {**(request.params or {}), **dict.fromkeys(access.params, MASK)}
    query = f"?{unquote(urlencode(params))}" if params else ""
    headers = [f"{name}: {_safe(name, value)}" for name, value in access.headers.items()]
    return "\n".join([f"GET {request.path}{query}", *headers])


def _safe(name: str, value: str) -> str:
    """A header's value as it may be shown: those of the sign-in keep their first word alone, if they have two."""
    if name.lower() in ("accept", "user-agent"):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space else MASK


def _row(collection: CustomCollection, item: msgspec.Raw, secrets: list[str]) -> Row:
    times = [moment_at(item, path) for path in (collection.updated_at, collection.created_at)]
    updated, created = [f"{each:%Y-%m-%d %H:%M:%S}" if each else "" for each in times]
    return Row(text_at(item, collection.id_at), updated, created, masked(bytes(item).decode(errors="replace"), secrets))


def _oddities(collection: CustomCollection, rows: list[Row], items: list[msgspec.Raw]) -> list[Finding]:
    if not rows:
        return [Finding("The list is empty.", "That may be right. Try an account that has some.", False)]
    keys = ", ".join(list(raw.split(items[0]))[:20]) if bytes(items[0])[:1] == b"{" else "none: it is no object"
    has = f"The first record’s keys: {keys}."
    found = []
    if any(not row.id for row in rows):
        found.append(Finding(f"A record has no id at “{collection.id_at}”.", has, field="id_at"))
    elif len({row.id for row in rows}) < len(rows):
        found.append(Finding("Two records have the same id.", f"Choose a field that is unique. {has}", field="id_at"))
    for name, path, values in (
        ("change time", collection.updated_at, [row.updated_at for row in rows]),
        ("time of creation", collection.created_at, [row.created_at for row in rows]),
    ):
        if path and not any(values):
            found.append(Finding(f"No record has a {name} at “{path}”.", has, name == "change time", "updated_at"))
    return found


def _lists_in(body: bytes) -> str:
    """Where lists are in an answer, to choose from."""
    found = [
        f"“{path}” ({count:,} records)" if path else "the answer itself"
        for path, count in _walk(msgspec.Raw(body), "", 0)
    ]
    return f"Lists in this answer: {', '.join(found)}." if found else "There is no list in this answer."


def _walk(value: msgspec.Raw, path: str, depth: int) -> list[tuple[str, int]]:
    first = bytes(value).lstrip()[:1]
    if first == b"[":
        return [(path, len(raw.split_list(value)))]
    if first != b"{" or depth == DEEPEST:
        return []
    inside = raw.split(value).items()
    return [each for key, inner in inside for each in _walk(inner, f"{path}.{key}" if path else key, depth + 1)][:10]
