"""Answers to SOQL queries: pages of records as JSON, cut out of the stored text, and the locators that continue them.

Source: REST API guide, "Query" and "QueryAll" (v67.0); query locators live 2 days
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from sandbox.clock import DAY_MS
from sandbox.rawjson import dump, load, view_object
from sandbox.salesforce.errors import invalid_locator
from sandbox.salesforce.fields import Field
from sandbox.salesforce.objects import API_VERSION, SObject
from sandbox.salesforce.org import Org
from sandbox.salesforce.soql import parse
from sandbox.salesforce.soql_sql import Compiler, Reached
from sandbox.store import Row

SMALLEST_BATCH, LARGEST_BATCH = 200, 2_000
WIDE_FROM_FIELDS, WIDE_BATCH = 200, 500
LOCATOR_LIFE_MS = 2 * DAY_MS
LOCATORS_IN_MEMORY = 32
Raw = bytes | msgspec.Raw


@dataclass(frozen=True)
class Opened:
    """A query whose result is longer than a page: the ids it found, in order."""

    query: str
    ids: Sequence[str]
    made_ms: int
    batch: int


class Queries:
    """The query resources of an org."""

    def __init__(self, org: Org):
        self.org = org
        self._opened: dict[str, Opened] = {}

    def run(self, text: str, *, with_deleted: bool, batch: int) -> bytes:
        """The first page of a query's answer."""
        self.org.store.settle(self.org.clock.now_ms())
        query = parse(text)
        compiler = Compiler(query, self.org.objects)
        if query.is_count:
            statement = compiler.statement(with_deleted=with_deleted)
            found = self.org.store.read(f"SELECT count(*) FROM records {statement.tail}", statement.params)
            return _answer(found[0][0], b"")
        selected = compiler.selected()
        statement = compiler.statement(with_deleted=with_deleted)
        batch = self._batch(batch, len(selected))
        if query.limit is not None and query.limit <= batch:
            rows = self.org.store.read(f"SELECT id, body FROM records {statement.tail}", statement.params)
            return _answer(len(rows), self._render(compiler.object, selected, rows))
        ids = [row[0] for row in self.org.store.read(f"SELECT id FROM records {statement.tail}", statement.params)]
        return self._page(text, compiler.object, selected, Opened(text, ids, self.org.clock.now_ms(), batch), "", 0)

    def more(self, locator: str) -> bytes:
        """The page a `nextRecordsUrl` leads to. Raises INVALID_QUERY_LOCATOR."""
        name, _, offset_text = locator.partition("-")
        opened = self._opened.get(name) or self._load(name)
        if not offset_text.isdigit() or opened is None or int(offset_text) > len(opened.ids):
            raise invalid_locator()
        self.org.store.settle(self.org.clock.now_ms())
        compiler = Compiler(parse(opened.query), self.org.objects)
        return self._page(opened.query, compiler.object, compiler.selected(), opened, name, int(offset_text))

    def forget_locators(self) -> None:
        """All open locators become invalid, as after an org moved to another instance."""
        self._opened.clear()
        for name in self.org.store.notes("locator"):
            self.org.store.drop_note("locator", name)

    def rows(self, sobject: SObject, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Id and body of those ids that still exist, in the order given."""
        found = dict(
            self.org.store.read(
                "SELECT id, body FROM records WHERE shelf = ? AND id IN (SELECT value FROM json_each(?))",
                (Org.shelf(sobject.name), dump(list(ids)).decode()),
            )
        )
        return [(record, found[record]) for record in ids if record in found]

    def _page(
        self, text: str, sobject: SObject, selected: Sequence[Reached], opened: Opened, name: str, offset: int
    ) -> bytes:
        end = offset + opened.batch
        rows = self.rows(sobject, opened.ids[offset:end])
        next_url = None
        if end < len(opened.ids):
            name = name or self._keep(opened)
            next_url = f"/services/data/v{API_VERSION}/query/{name}-{end}"
        return _answer(len(opened.ids), self._render(sobject, selected, rows), next_url)

    def _batch(self, asked: int, field_count: int) -> int:
        """Rows a page holds: what was asked within upstream's bounds, fewer for wide rows, never above the cap."""
        batch = min(max(asked, SMALLEST_BATCH), LARGEST_BATCH)
        if field_count >= WIDE_FROM_FIELDS:
            batch = min(batch, WIDE_BATCH)
        cap = self.org.settings().page_size_cap
        return min(batch, cap) if cap else batch

    def _keep(self, opened: Opened) -> str:
        number = self.org.store.count_up("salesforce/locators")
        name = f"0r8XX{number:013d}"
        note = {"query": opened.query, "ids": opened.ids, "made_ms": opened.made_ms, "batch": opened.batch}
        self.org.store.keep_note("locator", name, dump(note).decode())
        self._remember(name, opened)
        return name

    def _load(self, name: str) -> Opened | None:
        note = self.org.store.note("locator", name)
        if note is None:
            return None
        opened = Opened(**load(note))
        if opened.made_ms < self.org.clock.now_ms() - LOCATOR_LIFE_MS:
            self.org.store.drop_note("locator", name)
            return None
        self._remember(name, opened)
        return opened

    def _remember(self, name: str, opened: Opened) -> None:
        while len(self._opened) >= LOCATORS_IN_MEMORY:
            self._opened.pop(next(iter(self._opened)))
        self._opened[name] = opened

    def _render(self, sobject: SObject, selected: Sequence[Reached], rows: Sequence[tuple[str, str]]) -> bytes:
        """The records as JSON, comma between: `attributes`, then the selected fields in the order asked."""
        if any(reached.through is not None or reached.field.is_compound for reached in selected):
            return self._render_slowly(sobject, selected, rows)
        shape = _shape(tuple(reached.field.name for reached in selected))
        found = shape.decode(b"[" + ",".join(body for _, body in rows).encode() + b"]")
        head = f'{{"type":"{sobject.name}","url":"{_url(sobject.name, "")}'.encode()
        for (record, _), values in zip(rows, found, strict=True):
            values.attributes = msgspec.Raw(b'%b%b"}' % (head, record.encode()))
        return msgspec.json.encode(found)[1:-1]

    def _render_slowly(self, sobject: SObject, selected: Sequence[Reached], rows: Sequence[tuple[str, str]]) -> bytes:
        """For rows with compound fields or fields of a parent."""
        records = []
        for record, body in rows:
            head = f'{{"attributes":{{"type":"{sobject.name}","url":"{_url(sobject.name, record)}"}}'.encode()
            records.append(head + b"".join(self._compound_pieces(sobject, selected, view_object(body))) + b"}")
        return b",".join(records)

    def _compound_pieces(self, sobject: SObject, selected: Sequence[Reached], fields: Mapping[str, Raw]) -> list[bytes]:
        """Each selected field with its key and a comma before; a parent's fields are wrapped in one object."""
        pieces: list[bytes] = []
        parents: dict[Field, list[str]] = {}
        for reached in selected:
            name = reached.field.name
            if reached.through is not None:
                parents.setdefault(reached.through, []).append(name)
            elif reached.field.is_compound:
                pieces.append(f',"{name}":'.encode() + compound_value(sobject, name, fields))
            else:
                pieces.append(f',"{name}":'.encode() + bytes(fields.get(name, b"null")))
        for through, names in parents.items():
            parent = through.refers_to[0]
            row = self._parent(parent, fields.get(through.name))
            value = b"null"
            if row is not None:
                values = view_object(row.body)
                inner = b"".join(f',"{name}":'.encode() + bytes(values.get(name, b"null")) for name in names)
                value = f'{{"attributes":{{"type":"{parent}","url":"{_url(parent, row.id)}"}}'.encode() + inner + b"}"
            pieces.append(f',"{through.relationship}":'.encode() + value)
        return pieces

    def _parent(self, object_name: str, raw_id: Raw | None) -> Row | None:
        record = load(bytes(raw_id)) if raw_id is not None else None
        return self.org.store.visible(Org.shelf(object_name), record) if record else None


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """Reads bodies into objects that hold these fields as raw text, null where there is none, and no others."""
    null = msgspec.Raw(b"null")
    fields = [(name, msgspec.Raw, null) for name in ("attributes", *names)]
    return msgspec.json.Decoder(list[msgspec.defstruct("Shape", fields)])  # type: ignore[misc]


def compound_value(sobject: SObject, name: str, fields: Mapping[str, Raw]) -> bytes:
    """An address or location made of its parts: `{"city": …, "country": …}`, null when all parts are null."""
    stem = name.removesuffix("Address") if name.endswith("Address") else name
    parts = [field.name for field in sobject.fields if field.compound == name]
    values = {part: bytes(fields.get(part, b"null")) for part in parts}
    if all(value == b"null" for value in values.values()):
        return b"null"
    key = {part: _part_key(part, stem) for part in parts}
    return b"{" + b",".join(dump(key[part]) + b":" + value for part, value in values.items()) + b"}"


def _part_key(part: str, stem: str) -> str:
    if part.endswith("__s"):
        return "latitude" if "Latitude" in part else "longitude"
    rest = part.removeprefix(stem)
    return rest[:1].lower() + rest[1:]


def _url(object_name: str, record: str) -> str:
    return f"/services/data/v{API_VERSION}/sobjects/{object_name}/{record}"


def _answer(total: int, records: bytes, next_url: str | None = None) -> bytes:
    done = "true" if next_url is None else "false"
    next_part = f',"nextRecordsUrl":"{next_url}"' if next_url else ""
    head = f'{{"totalSize":{total},"done":{done}{next_part},"records":['.encode()
    return b"".join((head, records, b"]}"))
