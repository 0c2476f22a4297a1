"""Rights and credentials that change under way."""

from datetime import UTC, datetime, timedelta

import pytest

from consumers import permissions, services
from tests.faults.nats_stage import HOLD, STREAM, Record, lanes, stage
from tests.faults.report import rounds
from tests.nats_server import NatsUser, jwt_server, nats_server

pytestmark = pytest.mark.django_db(transaction=True)
RIGHTS = permissions.publisher("sequin-records", STREAM)
TAKEN = {
    "publish": (["$JS.API.>"], RIGHTS.subscribe, ("may not publish",)),
    "inbox": (RIGHTS.publish, ["nothing"], ("may not subscribe", "did not answer", "did not confirm")),
    "JetStream API": (["sequin-records.>"], RIGHTS.subscribe, ("may not publish to $JS.API",)),
}


@lanes
@pytest.mark.parametrize("what", TAKEN)
def test_right_taken_away_and_given_back(lane: str, what: str, record_fault: Record) -> None:
    times = rounds(1, 8)
    publish, subscribe, words = TAKEN[what]
    full = NatsUser("ada", "s3cret-pw", RIGHTS.publish, RIGHTS.subscribe)
    less = NatsUser("ada", "s3cret-pw", publish, subscribe)
    with (
        nats_server(users=[full]) as server,
        stage(lane, server=server, nats={"user": "ada", "password": "s3cret-pw"}) as on,
    ):
        assert on.secrets
        users = server.config["authorization"]["users"]
        for _ in range(times):
            on.wait_for_acks(20)
            users[1] = less.as_config()
            server.reload()
            row = on.wait_for_trouble(*words)
            if row.error_kind != "permission":
                row = on.wait_for_trouble("may not", kind="permission")
            assert "rights" in row.next_step
            on.assert_acknowledged_is_stored()
            users[1] = full.as_config()
            server.reload()
            on.wait_until_well()
        on.end(
            record_fault,
            f"right taken away by reload, and given back ({what})",
            times,
            outcome=f"the missing right is named; {HOLD[lane]} once given back",
        )


@lanes
def test_password_changed_and_told_to_the_console(lane: str, record_fault: Record) -> None:
    with (
        nats_server(users=[NatsUser("ada", "s3cret-pw")]) as server,
        stage(lane, server=server, nats={"user": "ada", "password": "s3cret-pw"}) as on,
    ):
        server.config["authorization"]["users"][1] = NatsUser("ada", "n3w-pw").as_config()
        server.reload()
        on.wait_for_trouble("refused these credentials", kind="credentials")
        services.update_consumer(on.consumer, {"nats": {"user": "ada", "password": "n3w-pw"}}, by=None)
        on.wait_until_well()
        on.end(
            record_fault,
            "password changed on the server, then in the console",
            outcome=f"named; {HOLD[lane]} once told",
        )


@lanes
def test_user_jwt_expires_under_way_and_is_renewed(lane: str, record_fault: Record) -> None:
    times = rounds(1, 5)
    with jwt_server() as server:
        soon = lambda: datetime.now(UTC) + timedelta(seconds=rounds(4, 20))  # noqa: E731
        rights = {"publish": RIGHTS.publish, "subscribe": RIGHTS.subscribe}
        first = server.make_user(expires_at=soon(), **rights)
        with stage(lane, server=server, nats={"creds": first.text}) as on:
            assert first.seed in on.secrets
            for no in range(times):
                row = on.wait_for_trouble("credentials have expired", kind="credentials")
                assert "credentials" in row.next_step
                renewed = server.make_user(expires_at=soon() if no + 1 < times else None, **rights)
                services.update_consumer(on.consumer, {"nats": {"creds": renewed.text}}, by=None)
                on.wait_until_well()
            on.end(
                record_fault,
                "user JWT expires under way, renewed in the console",
                times,
                outcome=f"named as expired; {HOLD[lane]} once renewed",
            )
