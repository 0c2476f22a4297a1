"""Subjects, headers and bodies: reversible, minimal, one line, and the provider's bytes untouched."""

import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import message
from consumers.message import Envelope, Renderer

SYNC, CONSUMER, RECORD = UUID(int=1), UUID(int=2), UUID(int=3)
ENVELOPE = Envelope("sequin-records", SYNC, "salesforce", CONSUMER, 3, "SEQUIN-RECORDS")


def entry(**changes: Any) -> Any:
    fields = {
        "seq": 7,
        "record_id": 1,
        "public_id": str(RECORD),
        "collection_id": "salesforce:contact",
        "upstream_id": "003xx",
        "data": '{"Name":"Ada","Big":12345678901234567890123,"Price":1.10}',
        "deleted": False,
        "operation": "update",
        "upstream_created_at": "2026-01-02T03:04:05Z",
        "upstream_updated_at": None,
        "inserted_at": "2026-01-02T01:04:05.600000Z",
    }
    return SimpleNamespace(**fields | changes)


@given(st.text())
def test_token_is_reversible(text: str) -> None:
    assert message.decode_token(message.encode_token(text)) == text


@given(st.text())
def test_token_is_one_legal_token(text: str) -> None:
    token = message.encode_token(text)
    assert token
    assert token.isascii()
    assert not set(token) & set(" .*>\t\r\n\x00\x7f")


@given(st.text(), st.text())
def test_different_ids_never_share_a_subject(one: str, other: str) -> None:
    assert (message.encode_token(one) == message.encode_token(other)) == (one == other)


@given(st.text(alphabet="abcXYZ019-_:=@+~"))
def test_what_need_not_be_encoded_is_not(text: str) -> None:
    assert message.encode_token(text) == (text or "%")


def test_surrogates_are_reversible_too() -> None:
    assert message.decode_token(message.encode_token("a\udc80b")) == "a\udc80b"


@pytest.mark.parametrize(
    ("text", "token"), [("a.b c", "a%2Eb%20c"), ("50%", "50%25"), ("*>", "%2A%3E"), ("ä", "%C3%A4"), ("a/b", "a%2Fb")]
)
def test_token_examples(text: str, token: str) -> None:
    assert message.encode_token(text) == token


def test_subject_and_filters() -> None:
    subject = message.subject_of("sequin-records", SYNC, "salesforce:contact", "0.1")
    assert subject == f"sequin-records.{SYNC}.salesforce:contact.0%2E1"
    assert message.subject_filter("p") == "p.>"
    assert message.subject_filter("p", SYNC, "a:b") == f"p.{SYNC}.a:b.>"


def test_body_has_the_promised_keys_in_order_and_the_providers_own_bytes() -> None:
    body = Renderer(ENVELOPE)(entry()).payload
    assert list(json.loads(body)) == [
        "id", "sync_id", "collection_id", "provider", "upstream_id", "data", "deleted", "seq",
        "upstream_created_at", "upstream_updated_at", "inserted_at",
    ]  # fmt: skip
    assert entry().data.encode() in body
    parsed = json.loads(body)
    assert parsed["upstream_created_at"] == "2026-01-02T03:04:05Z"
    assert parsed["inserted_at"] == "2026-01-02T01:04:05.600000Z"
    assert parsed["upstream_updated_at"] is None


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
)
def test_body_is_one_line_of_json_whatever_the_record(data: dict[str, Any], upstream_id: str) -> None:
    text = json.dumps(data, indent=1)
    body = Renderer(ENVELOPE)(entry(data=text, upstream_id=upstream_id)).payload
    assert b"\n" not in body
    assert b"\r" not in body
    parsed = json.loads(body)
    assert (parsed["data"], parsed["upstream_id"]) == (data, upstream_id)


def test_headers_tell_sequence_run_consumer_operation_and_stream() -> None:
    rendered = Renderer(ENVELOPE)(entry())
    assert message.parse_headers(rendered.headers) == {
        "Sequin-Seq": "7",
        "Sequin-Run": "3",
        "Sequin-Consumer": str(CONSUMER),
        "Sequin-Operation": "update",
        "Nats-Expected-Stream": "SEQUIN-RECORDS",
    }


def test_tombstone_says_so_and_lives_a_day_at_least_where_asked() -> None:
    asked = Envelope("p", SYNC, "salesforce", CONSUMER, 1, "S", tombstone_ttl_h=2)
    rendered = Renderer(asked)(entry(deleted=True, operation="delete"))
    assert message.parse_headers(rendered.headers)["Nats-TTL"] == "24h"
    assert json.loads(rendered.payload)["deleted"] is True
    assert "Nats-TTL" not in message.parse_headers(Renderer(asked)(entry()).headers)


def test_consumer_on_its_way_out_marks_everything_deleted() -> None:
    going = Envelope("p", SYNC, "salesforce", CONSUMER, 1, "S", tombstones=True)
    rendered = Renderer(going)(entry())
    assert json.loads(rendered.payload)["deleted"] is True
    assert message.parse_headers(rendered.headers)["Sequin-Operation"] == "delete"


# --- The same bytes as the plain way -------------------------------------------------------------------------------


def plainly(entry: Any, envelope: Envelope) -> tuple[str, bytes, bytes]:
    """Subject, headers and body as they are defined, with no thought of speed."""
    deleted = entry.deleted or envelope.tombstones
    operation = "delete" if deleted else entry.operation
    headers = (
        f"Sequin-Seq: {entry.seq}\r\nSequin-Run: {envelope.run}\r\nSequin-Consumer: {envelope.consumer_id}\r\n"
        f"Sequin-Operation: {operation}\r\nNats-Expected-Stream: {envelope.stream}\r\n"
    )
    if operation == "delete" and envelope.tombstone_ttl_h:
        headers += f"Nats-TTL: {max(envelope.tombstone_ttl_h, 24)}h\r\n"
    head = orjson.dumps(
        {
            "id": entry.public_id,
            "sync_id": str(envelope.sync_id),
            "collection_id": entry.collection_id,
            "provider": envelope.provider,
            "upstream_id": entry.upstream_id.encode("utf-8", "replace").decode(),
        }
    )
    tail = orjson.dumps(
        {
            "deleted": deleted,
            "seq": entry.seq,
            "upstream_created_at": entry.upstream_created_at,
            "upstream_updated_at": entry.upstream_updated_at,
            "inserted_at": entry.inserted_at,
        }
    )
    data = entry.data.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")
    subject = message.subject_of(envelope.prefix, envelope.sync_id, entry.collection_id, entry.upstream_id)
    return subject, headers.encode(), b"".join((head[:-1], b',"data":', data, b",", tail[1:]))


_ids = st.text() | st.text(alphabet="abcXYZ019-_:=@+~.") | st.just("")
_moments = st.none() | st.datetimes().map(lambda at: at.isoformat() + "Z")


@given(
    upstream_id=_ids,
    collection_id=_ids,
    data=st.text(),
    deleted=st.booleans(),
    operation=st.sampled_from(["create", "update", "delete"]),
    seq=st.integers(1, 2**62),
    updated_at=_moments,
    created_at=_moments,
    tombstones=st.booleans(),
    ttl_h=st.sampled_from([None, 1, 48]),
)
def test_rendering_gives_the_same_bytes_as_the_plain_way(
    updated_at: str | None, created_at: str | None, tombstones: bool, ttl_h: int | None, **fields: Any
) -> None:
    envelope = Envelope("p.q", SYNC, 'pro"vider', CONSUMER, 2, "S", tombstones=tombstones, tombstone_ttl_h=ttl_h)
    one = entry(upstream_created_at=created_at, upstream_updated_at=updated_at, **fields)
    render = Renderer(envelope)
    for _ in range(2):  # with what the first left behind, too
        assert render(one)[:3] == plainly(one, envelope)
