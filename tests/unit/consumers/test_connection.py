"""Settings and small rules of connections, streams and printed rights."""

import pytest

from consumers import permissions, streams
from consumers.connection import NatsSettings, join_host, split_host
from consumers.preflight import notices, unfit
from consumers.streams import Stream, covers


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("nats.example.com", "nats.example.com", 4222),
        ("nats.example.com:4333", "nats.example.com", 4333),
        ("tls://connect.ngs.global", "connect.ngs.global", 4222),
        ("nats://u:p@h:1/", "h", 1),
        ("[::1]:4222", "::1", 4222),
        ("::1", "::1", 4222),
    ],
)
def test_hosts_as_people_write_them(text: str, host: str, port: int) -> None:
    assert split_host(text) == (host, port)
    assert split_host(join_host(host, port)) == (host, port)


@pytest.mark.parametrize("text", ["", "  ", "a b", "h:x", "h:99999"])
def test_what_is_no_host_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        split_host(text)


def test_settings_never_show_a_secret() -> None:
    text = repr(NatsSettings(("h",), jwt="SECRET1", nkey_seed="SECRET2", password="SECRET3", token="SECRET4"))
    assert "SECRET" not in text


def test_any_changed_setting_makes_another_connection() -> None:
    base = NatsSettings(("h",))
    for name in ("password", "ca_pem", "nkey_seed", "client_key_pem", "inbox", "domain", "token"):
        assert NatsSettings(("h",), **{name: "x"}) != base
    assert NatsSettings(("h",), tls=True) != base


def test_api_prefix_by_domain_or_whole() -> None:
    assert NatsSettings(("h",)).api == "$JS.API"
    assert NatsSettings(("h",), domain="hub").api == "$JS.hub.API"
    assert NatsSettings(("h",), domain="$JS.hub.API").api == "$JS.hub.API"


@pytest.mark.parametrize(
    ("subjects", "subject", "expected"),
    [
        (["p.>"], "p.s.>", True),
        (["p.>"], "p.>", True),
        (["p.*"], "p.>", False),
        (["p.*.>"], "p.s.>", True),
        (["q.>", "p.s.c.*"], "p.s.c.1", True),
        (["p.s"], "p.s.c", False),
        ([">"], "p.>", True),
        (["p.s.>"], "p.>", False),
    ],
)
def test_whether_a_stream_covers_a_filter(subjects: list[str], subject: str, expected: bool) -> None:
    assert covers(subjects, subject) is expected


def make_stream(**config: object) -> Stream:
    return Stream("S", "then", {"max_msgs_per_subject": 1, **config}, 0, 0, 0, True)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"sealed": True}, "sealed"),
        ({"no_ack": True}, "no_ack"),
        ({"mirror": {"name": "X"}}, "mirror"),
        ({"discard": "new", "discard_new_per_subject": True}, "second message"),
        ({"subject_transform": {"src": ">"}}, "renames"),
    ],
)
def test_streams_that_cannot_take_records(config: dict[str, object], word: str) -> None:
    assert word in " ".join(unfit(make_stream(**config)))
    assert unfit(make_stream()) == []


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"max_msgs_per_subject": -1}, "Old versions"),
        ({"max_age": 60_000_000_000}, "60 seconds"),
        ({"max_bytes": 1000}, "1,000"),
        ({"discard": "new"}, "refuses new"),
        ({"retention": "workqueue"}, "workqueue"),
    ],
)
def test_streams_that_take_records_but_rarely_as_wanted(config: dict[str, object], word: str) -> None:
    assert word in " ".join(notices(make_stream(**config)))
    assert notices(make_stream()) == []


def test_printed_rights_are_the_least_and_keep_the_inbox_outside() -> None:
    rights = permissions.publisher("sequin-records")
    assert rights.publish == (
        "sequin-records.>",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.INFO.SEQUIN-RECORDS",
        "$JS.API.STREAM.MSG.GET.SEQUIN-RECORDS",
    )
    assert rights.subscribe == ("_INBOX_sequin.>",)
    assert 'allow: ["sequin-records.>"' in rights.server_config
    assert rights.nsc.startswith("nsc edit user")
    assert "$JS.API.CONSUMER.CREATE.SEQUIN-RECORDS.>" in permissions.viewer("sequin-records").publish


def test_stream_add_line_names_every_setting_that_matters() -> None:
    line = permissions.stream_add("sequin-records")
    for part in ('--subjects "sequin-records.>"', "--max-msgs-per-subject 1", "--discard old", "--allow-batch"):
        assert part in line
    assert streams.RECOMMENDED["max_msgs_per_subject"] == 1
