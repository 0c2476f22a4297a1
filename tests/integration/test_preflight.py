"""The checks against real servers: each cause is told apart, with its remedy, and the stream is left as it was."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers import permissions
from consumers.connection import NatsSettings
from consumers.preflight import Check, Preflight
from tests.nats_server import (
    Creds,
    JwtServer,
    NatsKey,
    NatsServer,
    NatsUser,
    free_port,
    jwt_server,
    make_tls,
    nats_server,
    run,
)

PREFIX = "sequin-records"
KEYS = ["resolve", "connect", "tls", "authenticate", "stream", "limits", "publish", "ack", "read"]


def check(
    server: NatsServer | None, *, host: str = "", creds: Creds | None = None, **settings: Any
) -> dict[str, Check]:
    where = host or f"127.0.0.1:{server.port}"  # type: ignore[union-attr]
    pair = {"jwt": creds.jwt, "nkey_seed": creds.seed} if creds else {}

    async def all_checks() -> list[Check]:
        return [one async for one in Preflight(NatsSettings((where,), **pair, **settings), PREFIX).run()]

    found = asyncio.run(asyncio.wait_for(all_checks(), 30))
    assert [one.key for one in found] == KEYS
    return {one.key: one for one in found}


def failure(checks: dict[str, Check]) -> Check:
    (failed,) = [one for one in checks.values() if one.ok is False]
    assert failed.detail
    assert failed.remedy
    after = KEYS[KEYS.index(failed.key) + 1 :]
    assert all(checks[key].state == "not_tried" for key in after)
    return failed


@pytest.fixture(scope="module")
def operated() -> Iterator[JwtServer]:
    with jwt_server() as server:
        run(server.make_stream())
        yield server


def test_all_well_in_operator_mode(operated: JwtServer) -> None:
    checks = check(operated, creds=operated.make_user())
    assert all(one.state == "ok" for one in checks.values()), checks


def test_least_rights_pass_every_check(operated: JwtServer) -> None:
    rights = permissions.publisher(PREFIX)
    checks = check(operated, creds=operated.make_user(publish=rights.publish, subscribe=rights.subscribe))
    assert all(one.ok for one in checks.values()), checks


def test_user_of_the_well_known_guide_gets_a_precise_answer_and_blocks_to_paste(operated: JwtServer) -> None:
    guide = operated.make_user(publish=["sequin-records.>"], subscribe=["sequin-records.>"])
    checks = check(operated, creds=guide)
    failed = next(one for one in checks.values() if one.ok is False)
    assert failed.key == "ack"
    assert "may not subscribe to _INBOX_sequin.> or _INBOX.>" in failed.detail
    assert checks["publish"].ok
    assert checks["stream"].state == checks["read"].state == "not_tried"
    labels = " ".join(block["label"] for block in failed.commands)
    assert all(word in labels for word in ("server configuration", "nsc", "Synadia", "To publish", "watch live"))


def test_second_inbox_is_tried_when_the_first_is_not_allowed(operated: JwtServer) -> None:
    rights = permissions.publisher(PREFIX)
    checks = check(operated, creds=operated.make_user(publish=rights.publish, subscribe=["_INBOX.>"]))
    assert all(one.ok for one in checks.values()), checks
    assert "_INBOX.>" in checks["ack"].detail


@pytest.mark.parametrize(
    ("left_out", "key"),
    [("STREAM.NAMES", "stream"), ("STREAM.INFO", "stream"), ("sequin-records", "publish"), ("MSG.GET", "read")],
)
def test_each_missing_right_is_named(operated: JwtServer, left_out: str, key: str) -> None:
    rights = permissions.publisher(PREFIX)
    allowed = [
        subject
        for subject in rights.publish
        if left_out not in subject or (left_out == "sequin-records" and "$JS" in subject)
    ]
    failed = failure(check(operated, creds=operated.make_user(publish=allowed, subscribe=rights.subscribe)))
    assert failed.key == key
    assert failed.detail.startswith("The NATS user may not publish to")
    assert failed.commands


def test_unknown_account_and_expired_jwt_are_refused_at_sign_in(operated: JwtServer) -> None:
    stranger = operated.make_user(account=NatsKey("account"))
    assert failure(check(operated, creds=stranger)).key == "authenticate"
    old = operated.make_user(expires_at=datetime.now(UTC) - timedelta(hours=1))
    assert failure(check(operated, creds=old)).key == "authenticate"


def test_wrong_password_and_token() -> None:
    with nats_server(user="ada", password="right") as server:
        assert failure(check(server, user="ada", password="wrong")).key == "authenticate"
        assert check(server, user="ada", password="right")["authenticate"].ok
    with nats_server(token="t0ken") as server:
        assert failure(check(server, token="wrong")).key == "authenticate"
        assert check(server, token="t0ken")["authenticate"].ok


def test_host_that_is_not_known() -> None:
    assert failure(check(None, host="no-such-host.invalid:4222")).key == "resolve"


def test_port_where_nobody_listens() -> None:
    failed = failure(check(None, host=f"127.0.0.1:{free_port()}"))
    assert (failed.key, "refused" in failed.detail) == ("connect", True)


def test_port_where_something_else_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        async def as_web_server() -> Check:
            async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                await writer.drain()
                writer.close()

            async with await asyncio.start_server(speak, sock=other):
                found = [one async for one in Preflight(NatsSettings((f"127.0.0.1:{port}",)), PREFIX).run()]
            return next(one for one in found if one.ok is False)

        failed = asyncio.run(as_web_server())
        assert (failed.key, "not a NATS server" in failed.detail) == ("connect", True)


def test_tls_causes_are_told_apart() -> None:
    tls = make_tls()
    with nats_server(tls=tls) as server:
        assert "not from an authority we trust" in failure(check(server, tls=True)).detail
        assert check(server, tls=True, ca_pem=tls.ca_pem)["tls"].ok
        assert failure(check(server)).key == "tls"
    with nats_server(tls=tls, verify_clients=True) as server:
        assert "client certificate" in failure(check(server, tls=True, ca_pem=tls.ca_pem)).detail
        pair = {"client_cert_pem": tls.client_cert_pem, "client_key_pem": tls.client_key_pem}
        assert check(server, tls=True, ca_pem=tls.ca_pem, **pair)["tls"].ok
    elsewhere = make_tls(names=["nats.example.com"])
    with nats_server(tls=elsewhere) as server:
        assert "not made for 127.0.0.1" in failure(check(server, tls=True, ca_pem=elsewhere.ca_pem)).detail
    expired = make_tls(expired=True)
    with nats_server(tls=expired) as server:
        assert "expired" in failure(check(server, tls=True, ca_pem=expired.ca_pem)).detail
    with nats_server() as server:
        assert "does not offer TLS" in failure(check(server, tls=True)).detail


def test_no_secret_leaves_in_clear_when_the_server_does_not_speak_tls() -> None:
    """nats-py alone would go on without TLS and send the password."""
    with nats_server(user="ada", password="right", trace=True, debug=True) as server:
        check(server, tls=True, user="ada", password="right")
        assert "CONNECT" not in server.log.split("is ready")[-1].replace("tls_required", "")


def test_no_stream_offers_to_create_it() -> None:
    with nats_server() as server:
        failed = failure(check(server))
        assert (failed.key, failed.action) == ("stream", "create_stream")
        assert failed.commands[0]["text"].startswith("nats stream add SEQUIN-RECORDS")


def test_jetstream_that_is_off_is_told() -> None:
    with nats_server(jetstream=False) as server:
        assert "JetStream is not enabled" in failure(check(server)).detail


@pytest.mark.parametrize(
    ("config", "state", "word"),
    [
        ({"no_ack": True}, "failed", "no_ack"),
        ({"allow_atomic": False}, "warning", "Atomic batches are off"),
        ({"max_age": 3_600_000_000_000}, "warning", "3,600 seconds"),
        ({"max_msgs_per_subject": 5}, "warning", "Old versions"),
    ],
)
def test_stream_settings(config: dict[str, Any], state: str, word: str) -> None:
    with nats_server() as server:
        run(server.make_stream(**config))
        limits = check(server)["limits"]
        assert limits.state == state
        assert word in limits.detail
        assert limits.action == ("allow_atomic" if "allow_atomic" in config else "")


def test_probe_leaves_nothing_on_the_stream() -> None:
    with nats_server(users=[NatsUser("guide", "pw", ["sequin-records.>"], ["sequin-records.>"])]) as server:
        run(server.make_stream())
        check(server, user="guide", password="pw")
        check(server, user="test-admin", password="test-admin")
        state = run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["state"]
        assert (state["messages"], state["last_seq"]) == (0, 0)
