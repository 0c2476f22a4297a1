"""Records: the browser over all syncs, and one record with its document and its changes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse

from sequin_console.common import web
from syncs import browsing, log, queries
from syncs.forms import RecordFilter
from syncs.models import Record, Sync, SyncCollection
from syncs.queries import Version

EXCERPT_LENGTH = 160
ON_PAGE = 20


@dataclass(frozen=True)
class Line:
    """A record as the list shows it."""

    record: Record

    @property
    def excerpt(self) -> str:
        """The beginning of its document: text of a stranger, to be escaped."""
        return self.record.data[:EXCERPT_LENGTH]


@dataclass(frozen=True)
class Difference:
    """One top-level key that a change touched; None where the key was not there."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class History:
    """A change with what it did to the document."""

    version: Version

    @cached_property
    def differences(self) -> list[Difference]:
        if self.version.before is None:
            return []
        before, after = fields(self.version.before), fields(self.version.after)
        keys = list(dict.fromkeys([*before, *after]))
        return [Difference(k, before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)]


def fields(document: str) -> dict[str, str]:
    """The document's top-level values as they stand in it, digit for digit; nothing for what is no JSON object."""
    try:
        raw = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}
    return {key: bytes(value).decode(errors="replace") for key, value in raw.items()}


def record_list(request: HttpRequest) -> HttpResponse:
    """The records changed last, by sync, collection, id or text."""
    syncs = list(Sync.objects.visible_to(request.user))
    collections = SyncCollection.objects.filter(sync__in=[sync.pk for sync in syncs]).order_by("title")
    form = RecordFilter(request.GET, syncs=syncs, collections=list(collections))
    form.is_valid()  # what does not fit is left out
    wanted = form.cleaned_data
    page = browsing.page(request.user, chosen(wanted), before=place(request))
    context = {
        "filter": form,
        "lines": [Line(row) for row in page.records],
        "older": page.older,
        "searched": page.searched,
        "is_first": place(request) is None,
        "is_filtered": any(wanted.values()),
        "sync": next((sync for sync in syncs if str(sync.pk) == wanted.get("sync")), None),
        "has_syncs": bool(syncs),
    }
    return web.page_or_fragment(request, "syncs/records.html", "syncs/_records.html", context, status=200)


def chosen(wanted: dict[str, Any]) -> browsing.Choice:
    """The filter form's values as a choice of records."""
    return browsing.Choice(
        sync_id=UUID(wanted["sync"]) if wanted.get("sync") else None,
        collection_id=wanted.get("collection", ""),
        text=wanted.get("q", ""),
        deleted={"yes": True, "no": False}.get(wanted.get("deleted", "")),
    )


def place(request: HttpRequest) -> int | None:
    """Where this page of the list starts."""
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def record(request: HttpRequest, sync_id: UUID, collection_id: str, upstream_id: str) -> HttpResponse:
    """One record: its document as it is now, and what changed when."""
    row = queries.record(request.user, sync_id, collection_id, upstream_id)
    if row is None:
        raise Http404
    history = [History(version) for version in queries.versions(row, limit=ON_PAGE)]
    context = {
        "record": row,
        "collection": row.collection,
        "public_id": log.public_id(sync_id, collection_id, upstream_id),
        "history": history,
        "changed_keys": [difference.key for difference in history[0].differences] if history else [],
    }
    return web.page_or_fragment(request, "syncs/record.html", "syncs/_record.html", context)
