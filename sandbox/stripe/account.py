"""The Stripe account: its objects in live and test mode, and what happens to them.

Every change makes an event, seen after `events_delay_s`. Its `data.object` is frozen at that moment and written in the
account's default API version, whatever version a reader asks for.
Source: https://docs.stripe.com/api/events, https://docs.stripe.com/api/customers/delete
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sandbox.clock import SECOND_MS, Clock, whole_second
from sandbox.kit.ids import letters_of
from sandbox.rawjson import Fields, dump, join_object, load, split_object
from sandbox.settings import Settings
from sandbox.store import BINNED, GONE, LIVE, Row, Store
from sandbox.stripe.catalogue import KINDS, Kind, Nested, event_type
from sandbox.stripe.errors import StripeError, no_such
from sandbox.stripe.old_shape import in_old_version

ACCOUNT_ID = "acct_1SandboxDemo0001"
MODES = ("test", "live")
ID_LENGTHS = {"cus": 14, "prod": 14, "cpn": 8}


class Account:
    """One Stripe account, kept in the store.

    send  (mode, event's type, event) -> to whoever has an endpoint for it
    """

    def __init__(
        self, store: Store, clock: Clock, settings: Callable[[], Settings], send: Callable[[str, str, bytes], None]
    ):
        self.store = store
        self.clock = clock
        self.settings = settings
        self.send = send

    @staticmethod
    def shelf(mode: str, name: str) -> str:
        return f"stripe/{mode}/{name}"

    def create(self, mode: str, name: str, values: Iterable[Fields], *, tell: bool = True) -> list[Row]:
        """New objects from raw field values; `id` and `created` may be among them. `tell` makes events."""
        kind, shelf, batch = KINDS[name], self.shelf(mode, name), list(values)
        first = self.store.count_up(shelf, len(batch))
        now_ms = whole_second(self.clock.now_ms())
        rows = []
        with self.store.transaction():
            for number, fields in enumerate(batch, first):
                new_id = load(fields["id"]) if "id" in fields else self.new_id(kind, mode, number)
                version = self.store.next_version(shelf, new_id) if "id" in fields else 1
                created_ms = load(fields["created"]) * SECOND_MS if "created" in fields else now_ms
                rows.append(self._row(kind, mode, new_id, fields, version, created_ms))
            self._write(shelf, rows)
            if tell:
                for row in rows:
                    self.tell(name, mode, "created", row)
        return rows

    def update(
        self,
        mode: str,
        name: str,
        record: str,
        changes: Fields,
        change: str = "updated",
        previous_lists: Fields | None = None,
    ) -> Row:
        """A new version with some fields changed; `metadata` is merged, as upstream merges it.

        previous_lists  nested lists that changed, as they were before
        """
        kind, old = KINDS[name], self.find(mode, name, record)
        before = split_object(old.body)
        if "metadata" in changes and "metadata" in before:
            merged = {**split_object(before["metadata"]), **split_object(changes["metadata"])}
            changes = {**changes, "metadata": join_object(merged)}
        row = self._row(kind, mode, old.id, {**before, **changes}, old.version + 1, old.created_ms)
        previous = {key: before.get(key, b"null") for key in changes if before.get(key) != changes[key]}
        with self.store.transaction():
            parents = self._parents_of(kind, mode, {row.facet})
            self._write(self.shelf(mode, name), [row])
            self.tell(name, mode, change, row, {**previous, **(previous_lists or {})})
            self._tell_parents(mode, parents)
        return row

    def delete(self, mode: str, name: str, record: str, *, hard: bool = False) -> Row:
        """Delete as upstream does: a subscription is canceled and stays; `hard` takes away without any event."""
        kind, old = KINDS[name], self.find(mode, name, record)
        shelf = self.shelf(mode, name)
        if hard:
            row = replace(old, version=old.version + 1, deleted=GONE)
            self._write(shelf, [row])
            return row
        if name == "subscriptions":
            ended = {"status": b'"canceled"', "canceled_at": dump(self.clock.now_ms() // SECOND_MS)}
            return self.update(mode, name, record, ended, "deleted")
        if not kind.deleted:
            raise StripeError(400, f"{name} cannot be deleted upstream; use hard=1 to make one vanish")
        row = replace(old, version=old.version + 1, deleted=BINNED, stamp_ms=whole_second(self.clock.now_ms()))
        with self.store.transaction():
            parents = self._parents_of(kind, mode, {row.facet})
            self._write(shelf, [row])
            self.tell(name, mode, "deleted", row)
            self._tell_parents(mode, parents)
        return row

    def find(self, mode: str, name: str, record: str) -> Row:
        """The newest version of an object that is not deleted. Raises resource_missing."""
        row = self.store.newest(self.shelf(mode, name), record)
        if row is None or row.deleted:
            raise no_such(KINDS[name].object, record)
        return row

    def new_id(self, kind: Kind, mode: str, number: int) -> str:
        """A random-looking id: `cus_Tq1…`. The same number gives the same id, so that a seed is repeatable."""
        letters = letters_of(f"{mode}/{kind.name}/{number}", ID_LENGTHS.get(kind.prefix, 24))
        infix = f"{mode}_" if kind.prefix == "cs" else ""
        return f"{kind.prefix}_{infix}{letters}"

    # ---- events

    def tell(
        self, name: str, mode: str, change: str, row: Row, previous: Fields | None = None, *, at_ms: int | None = None
    ) -> None:
        """Make the event of a change, if upstream has one for it."""
        kind = KINDS[name]
        told = event_type(kind, change)
        if told is None:
            return
        events, shelf, now_ms = KINDS["events"], self.shelf(mode, "events"), at_ms or self.clock.now_ms()
        number = self.store.count_up(shelf)
        version = self.settings().stripe_api_version
        data = b'{"object":' + in_old_version(kind, self.with_nested(kind, mode, row), version)
        if previous is not None:
            data += b',"previous_attributes":' + join_object(previous)
        event = {
            "id": dump(self.new_id(events, mode, number)), "object": b'"event"',
            "api_version": dump(version), "created": dump(now_ms // SECOND_MS),
            "data": data + b"}", "livemode": dump(mode == "live"), "pending_webhooks": b"0",
            "request": dump({"id": f"req_{number:014d}", "idempotency_key": None}), "type": dump(told),
        }  # fmt: skip
        stored = Row(load(event["id"]), whole_second(now_ms), now_ms, 1, LIVE, told, join_object(event).decode())
        delay_ms = round(self.settings().events_delay_s * SECOND_MS)
        if self.settings().events_out_of_order and number % 2:
            delay_ms += 2 * SECOND_MS
        self.store.write(shelf, [stored], at_ms=now_ms, delay_ms=delay_ms)
        if at_ms is None:  # else it is history, planted
            self.send(mode, told, stored.body.encode())

    def _parents_of(self, kind: Kind, mode: str, ids: set[str | None]) -> list[tuple[str, str, Fields]]:
        """The objects whose nested list this is, each with the list as it is now: (collection, id, {key: list})."""
        found = []
        for parent in KINDS.values():
            nested = next((each for each in parent.nested if each.collection == kind.name and not each.by), None)
            for each in sorted(filter(None, ids)) if nested else ():
                row = self.store.newest(self.shelf(mode, parent.name), each)
                if nested and row is not None and not row.deleted:
                    told = {} if nested.expanded else {nested.key: self._nested_list(nested, mode, each)}
                    found.append((parent.name, each, told))
        return found

    def _tell_parents(self, mode: str, parents: list[tuple[str, str, Fields]]) -> None:
        """A change of a nested object is told by its parent: of a subscription item, by the subscription.

        `previous_attributes` has the list as it was: https://docs.stripe.com/api/events/object
        """
        for name, record, previous in parents:
            self.update(mode, name, record, {}, previous_lists=previous)

    def with_nested(self, kind: Kind, mode: str, row: Row, expand: Sequence[str] = ()) -> bytes:
        """The object with its nested lists, each cut at 10; some only when asked for."""
        body = row.body.encode()
        for nested in kind.nested:
            if not nested.expanded or nested.key in expand:
                body = body[:-1] + f',"{nested.key}":'.encode() + self._nested_list(nested, mode, row.id) + b"}"
        return body

    def _nested_list(self, nested: Nested, mode: str, parent: str) -> bytes:
        whose = f"json_extract(body, '$.{nested.by}')" if nested.by else "facet"
        children = self.store.read(
            f"SELECT body FROM records WHERE shelf = ? AND {whose} = ? AND deleted = 0"
            " ORDER BY created_ms DESC, seq DESC LIMIT 11",
            (self.shelf(mode, nested.collection), parent),
        )
        shown, url = [child[0].encode() for child in children[:10]], nested.url.format(id=parent)
        return list_body(shown, url, len(children) > 10)

    # ---- rows

    def _row(self, kind: Kind, mode: str, new_id: str, fields: Fields, version: int, created_ms: int) -> Row:
        metadata = split_object(fields["metadata"]) if fields.get("metadata", b"null") != b"null" else {}
        metadata["sandbox_version"] = dump(str(version))
        body = {"id": dump(new_id), "object": dump(kind.object)}
        body.update({key: value for key, value in fields.items() if key not in ("id", "object", "metadata")})
        nested_keys = {nested.key for nested in kind.nested}
        body = {key: value for key, value in body.items() if key not in nested_keys}
        body["created"] = dump(created_ms // SECOND_MS)
        body["livemode"] = dump(mode == "live")
        body["metadata"] = join_object(metadata)
        parent = load(fields[kind.parent]) if kind.parent and kind.parent in fields else None
        stamp_ms = whole_second(self.clock.now_ms())
        return Row(new_id, created_ms, stamp_ms, version, LIVE, parent, join_object(body).decode())

    def _write(self, shelf: str, rows: list[Row]) -> None:
        delay_ms = round(self.settings().commit_delay_s * SECOND_MS)
        self.store.write(shelf, rows, at_ms=self.clock.now_ms(), delay_ms=delay_ms)


def list_body(data: list[bytes], url: str, has_more: bool) -> bytes:
    """A list object around raw objects."""
    more = b"true" if has_more else b"false"
    return b'{"object":"list","data":[' + b",".join(data) + b'],"has_more":' + more + b',"url":' + dump(url) + b"}"
