"""The pages of consumers and the live viewer, as a browser meets them; NATS is a real server."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consumers.models import ConsumerCursor, DeliverySample, HeldMessage, NatsConsumer
from consumers.states import ConsumerState, Promise
from consumers.urls import urlpatterns
from sequin_console.common.models import AuditEvent
from syncs.models import Record, Sync, SyncCollection, SyncHead
from tests.fake_provider import Upstream, collection
from tests.nats_server import NatsServer, NatsUser, jwt_server, nats_server, run

pytestmark = pytest.mark.django_db
BrowserOf = Callable[..., Client]
HTMX = {"HX-Request": "true"}
STREAM = {"X-Stream": "1"}
NAMES = [pattern.name for pattern in urlpatterns]
SEEN_BY_ALL = {"list", "detail", "checks", "for_sync", "for_record", "live", "live_detail"}
HOSTILE = '<script>alert("x")</script>'
SECRET = "p4ssw0rd-of-the-stream"


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    guide = NatsUser("guide", "pw", publish=["sequin-records.>"], subscribe=["sequin-records.>"])
    with nats_server(users=[NatsUser("full", SECRET), guide]) as running:
        yield running


@pytest.fixture
def stream(server: NatsServer) -> NatsServer:
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(server.make_stream())
    return server


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    world = Upstream(collections=(collection("thing"), collection("other")))
    with world.registered():
        yield world


@pytest.fixture
def sync(upstream: Upstream) -> Sync:
    return upstream.sync("thing", "other")


@pytest.fixture
def consumer(sync: Sync, server: NatsServer) -> NatsConsumer:
    return make_consumer(server, sync)


def make_consumer(server: NatsServer, sync: Sync, **fields: Any) -> NatsConsumer:
    """A consumer stored as it is, with a cursor in this sync."""
    values = {
        "name": f"To NATS {uuid4().hex[:6]}",
        "hosts": [f"127.0.0.1:{server.port}"],
        "port": server.port,
        "secrets": {"user": "full", "password": SECRET},
        "subject_prefix": f"records-{uuid4().hex[:6]}",
    }
    made = NatsConsumer.objects.create(**values | fields)
    ConsumerCursor.objects.create(consumer=made, sync=sync)
    return made


def make_record(sync: Sync, upstream_id: str, *, seq: int = 1, name: str = "thing") -> Record:
    now = timezone.now()
    row = SyncCollection.objects.get(sync=sync, collection_id=f"fake:{name}")
    SyncHead.objects.filter(sync=sync).update(head_seq=seq)
    return Record.objects.create(
        sync=sync, collection=row, upstream_id=upstream_id, seq=seq, data="{}", digest=b"", operation="create",
        read_no=seq, first_seen_at=now, changed_at=now,
    )  # fmt: skip


def path_of(name: str, consumer: NatsConsumer, sync: Sync) -> str:
    values = {"pk": consumer.pk, "sync_id": sync.pk, "collection_id": "fake:thing", "upstream_id": "thing/1.a"}
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    return reverse(f"consumers:{name}", kwargs={key: values[key] for key in pattern.pattern.converters})


def text_of(answer: Any) -> str:
    return answer.content.decode()


def form_data(server: NatsServer, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Records to NATS",
        "sync_id": "",
        "subject_prefix": "sequin-records",
        "deliver_policy": "all",
        "place": "own",
        "host": "127.0.0.1",
        "port": server.port,
        "sign_in": "password",
        "user": "full",
        "password": SECRET,
    } | changes


def changes_made() -> int:
    return AuditEvent.objects.exclude(action__startswith="user.").count()


# --- Who may see what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", NAMES)
def test_every_address_asks_who_is_there(name, method, sync, consumer, stan, vera, browser_of: BrowserOf) -> None:
    """Stan is sent to sign in; Vera is refused what changes or asks NATS for somebody. Nothing changes."""
    make_record(sync, "thing/1.a")
    path, before = path_of(name, consumer, sync), changes_made()
    answer = getattr(browser_of(stan), method)(path)
    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/accounts/sign-in/")
    if name not in SEEN_BY_ALL:
        for headers in ({}, HTMX, STREAM):
            assert getattr(browser_of(vera), method)(path, headers=headers).status_code in (403, 405), headers
    assert changes_made() == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", ["ada", "root"])
def test_every_page_opens_for_who_may(name, who, sync, consumer, browser_of: BrowserOf, request) -> None:
    make_record(sync, "thing/1.a")
    browser = browser_of(request.getfixturevalue(who))
    for headers in ({}, HTMX):
        answer = browser.get(path_of(name, consumer, sync), headers=headers)
        assert answer.status_code in (200, 302, 405), text_of(answer)
        if answer.status_code == 200:
            assert ("<!doctype html>" in text_of(answer)) == (not headers or name == "live_detail")


@pytest.mark.parametrize("name", sorted(SEEN_BY_ALL))
def test_viewer_sees_and_is_not_shown_what_she_may_not_press(name, sync, consumer, vera, browser_of) -> None:
    make_record(sync, "thing/1.a")
    NatsConsumer.objects.update(
        promise=Promise.BASIC, warning="Look here.", error="It failed.", state=ConsumerState.ERROR,
        checks=[{"key": "stream", "label": "Find the stream", "state": "failed", "detail": "None.",
                 "remedy": "Make it.", "commands": [], "action": "create_stream"}],
    )  # fmt: skip
    answer = browser_of(vera).get(path_of(name, consumer, sync), follow=True)
    assert answer.status_code == 200
    page = text_of(answer)
    assert set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page)) <= {"/accounts/sign-out/"}
    for other in set(NAMES) - SEEN_BY_ALL:
        assert f'"{path_of(other, consumer, sync)}"' not in page, other


# --- Lists --------------------------------------------------------------------------------------------------------


def queries_of(browser: Client, path: str) -> int:
    browser.get(path)
    with CaptureQueriesContext(database) as queries:
        assert browser.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", ["list", "live", "for_sync", "for_record"])
def test_lists_take_the_same_queries_for_two_rows_and_for_fifty(name, sync, server, vera, browser_of) -> None:
    make_record(sync, "thing/1.a")
    consumers = [make_consumer(server, sync) for _ in range(2)]  # one alone leads the viewer straight to it
    browser, path = browser_of(vera), path_of(name, consumers[0], sync)
    two = queries_of(browser, path)
    for number in range(48):
        made = make_consumer(server, sync, sync_id=sync.pk if number % 2 else None)
        DeliverySample.objects.create(consumer=made, at=timezone.now(), messages=5)
    assert queries_of(browser, path) == two


def test_empty_list_leads_to_the_first_consumer(ada, vera, browser_of) -> None:
    assert reverse("consumers:create") in text_of(browser_of(ada).get(reverse("consumers:list")))
    assert reverse("consumers:create") not in text_of(browser_of(vera).get(reverse("consumers:list")))


def test_only_consumer_needs_no_choosing(consumer, vera, browser_of) -> None:
    answer = browser_of(vera).get(reverse("consumers:live"))
    assert (answer.status_code, answer.url) == (302, reverse("consumers:live_detail", args=[consumer.pk]))


# --- Create, edit ------------------------------------------------------------------------------------------------


def test_created_consumer_is_stored_with_its_choices(stream, sync, ada, browser_of) -> None:
    data = form_data(
        stream, sync_id=str(sync.pk), collection_ids=["fake:thing"], deliver_policy="new", port=stream.port
    )
    answer = browser_of(ada).post(reverse("consumers:create"), data)
    made = NatsConsumer.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, made.get_absolute_url())
    assert (made.sync_id, made.collection_ids, made.deliver_policy) == (sync.pk, ["fake:thing"], "new")
    assert dict(made.secrets) == {"user": "full", "password": SECRET}
    assert made.stream_name == "SEQUIN-RECORDS"
    assert SECRET not in text_of(browser_of(ada).get(made.get_absolute_url()))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "required"),
        ({"host": ""}, "host", "Enter the host"),
        ({"port": "99999"}, "port", "65535"),
        ({"password": ""}, "password", "Enter the password"),
        ({"password": "wrong"}, "password", "refused these credentials"),
        ({"subject_prefix": "two words"}, "subject_prefix", "without spaces"),
        ({"sign_in": "creds", "creds": "no credentials"}, "creds", "No user JWT"),
        ({"sign_in": "jwt", "jwt": "", "nkey_seed": ""}, "jwt", "Paste the JWT"),
        ({"inbox_prefix": "sequin-records.inbox"}, "inbox_prefix", "every acknowledgement"),
        ({"tombstone_ttl_h": "3"}, "tombstone_ttl_h", "24"),
        ({"ca": "not a certificate"}, "ca", "not a PEM"),
    ],
)
def test_error_stands_at_its_field_and_no_secret_comes_back(changes, field, words, stream, ada, browser_of) -> None:
    for headers in ({}, HTMX):
        answer = browser_of(ada).post(reverse("consumers:create"), form_data(stream, **changes), headers=headers)
        assert answer.status_code == 422
        assert words in " ".join(answer.context["form"].errors[field])
        assert SECRET not in text_of(answer)
    assert not NatsConsumer.objects.exists()


def test_creds_are_taken_pasted_and_uploaded_and_never_shown(ada, browser_of) -> None:
    with jwt_server() as server:
        run(server.make_stream())
        creds = server.make_user("amy", publish=[">"])
        browser = browser_of(ada)
        shown = text_of(browser.post(reverse("consumers:facts"), {"creds": creds.text}, headers=HTMX))
        assert "amy" in shown
        assert creds.account in shown
        assert creds.seed not in shown
        common = {"sign_in": "creds", "user": "", "password": ""}
        browser.post(reverse("consumers:create"), form_data(server, name="Pasted", creds=creds.text, **common))
        upload = SimpleUploadedFile("my.creds", creds.text.encode())
        data = form_data(server, name="Uploaded", creds_file=upload, subject_prefix="others", **common)
        browser.post(reverse("consumers:create"), data)
        for made in NatsConsumer.objects.all():
            assert (made.secrets["jwt"], made.secrets["nkey_seed"]) == (creds.jwt, creds.seed)
            for name in ("detail", "edit"):
                page = text_of(browser.get(reverse(f"consumers:{name}", args=[made.pk])))
                assert creds.jwt not in page
                assert creds.seed not in page
        assert {made.name for made in NatsConsumer.objects.all()} == {"Pasted", "Uploaded"}


def test_bad_credentials_are_told_before_anything_is_asked(ada, browser_of) -> None:
    answer = browser_of(ada).post(reverse("consumers:facts"), {"creds": f"{HOSTILE} no"}, headers=HTMX)
    assert "No user JWT was found" in text_of(answer)
    assert HOSTILE not in text_of(answer)


def test_edit_keeps_a_secret_left_empty_and_drops_another_way(stream, sync, ada, browser_of) -> None:
    made = make_consumer(stream, sync, subject_prefix="sequin-records")
    browser, path = browser_of(ada), reverse("consumers:edit", args=[made.pk])
    assert SECRET not in text_of(browser.get(path))
    browser.post(path, form_data(stream, name="New name", user="", password=""))
    made.refresh_from_db()
    assert (made.name, dict(made.secrets)) == ("New name", {"user": "full", "password": SECRET})
    answer = browser.post(path, form_data(stream, sign_in="token", token="t0ken"))
    assert answer.status_code == 422  # this server wants a user
    made.refresh_from_db()
    assert dict(made.secrets) == {"user": "full", "password": SECRET}


def test_own_server_is_a_ready_choice(settings, ada, browser_of) -> None:
    with nats_server() as server:
        settings.EMBEDDED_NATS_URL = server.url
        page = text_of(browser_of(ada).get(reverse("consumers:create")))
        assert "This console’s own NATS server" in page
        answer = browser_of(ada).post(
            reverse("consumers:create"), {"name": "Own", "place": "embedded", "deliver_policy": "all"}
        )
        assert answer.status_code == 303
        assert NatsConsumer.objects.get().hosts == [f"127.0.0.1:{server.port}"]


# --- Checks ------------------------------------------------------------------------------------------------------


def lines_of(answer: Any) -> list[dict[str, str]]:
    return [json.loads(line) for line in b"".join(answer).decode().splitlines()]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse")
def test_results_of_a_form_are_streamed_one_by_one(stream, ada, browser_of) -> None:
    answer = browser_of(ada).post(reverse("consumers:test"), form_data(stream), headers=STREAM)
    lines = lines_of(answer)
    assert lines[0]["id"] == "consumer-checks"
    assert [line["id"] for line in lines if "Passed" in line["html"]] == [
        f"check-{key}"
        for key in ("resolve", "connect", "tls", "authenticate", "stream", "limits", "publish", "ack", "read")
    ]
    assert "All is well" in lines[-1]["html"]
    assert SECRET not in json.dumps(lines)
    assert not NatsConsumer.objects.exists()


def test_without_javascript_one_page_has_all_results(stream, ada, browser_of) -> None:
    page = text_of(browser_of(ada).post(reverse("consumers:test"), form_data(stream)))
    assert "<!doctype html>" in page
    assert page.count("Passed") == 9
    assert SECRET not in page


def test_restricted_user_gets_cause_remedy_and_three_blocks(stream, ada, browser_of) -> None:
    page = text_of(browser_of(ada).post(reverse("consumers:test"), form_data(stream, user="guide", password="pw")))
    assert "acknowledgements cannot reach us" in page
    for tab in ("Server configuration", "nsc", "Synadia"):
        assert f"<span>{tab}</span>" in page
    assert "$JS.API.STREAM.MSG.GET.SEQUIN-RECORDS" in page


def test_wrong_form_is_not_tried(stream, ada, browser_of) -> None:
    answer = browser_of(ada).post(reverse("consumers:test"), form_data(stream, host=""), headers=STREAM)
    assert answer.status_code == 422
    assert 'id="consumer-form-box"' in text_of(answer)
    assert "<!doctype" not in text_of(answer)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse")
def test_stream_is_created_before_the_consumer_by_one_press(server, ada, browser_of) -> None:
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    browser, data = browser_of(ada), form_data(server)
    before = browser.post(reverse("consumers:test"), data, headers=STREAM)
    assert "Create the stream" in b"".join(before).decode()
    after = browser.post(reverse("consumers:create_stream_first"), data, headers=STREAM)
    assert "All is well" in b"".join(after).decode()
    config = run(server.ask("STREAM.INFO.SEQUIN-RECORDS"))["config"]
    assert (config["max_msgs_per_subject"], config["allow_atomic"]) == (1, True)


def test_checks_of_a_stored_consumer_run_again_and_atomic_batches_go_on(server, sync, ada, browser_of) -> None:
    run(server.ask("STREAM.DELETE.SEQUIN-RECORDS"))
    run(server.make_stream(allow_atomic=False))
    made = make_consumer(server, sync, subject_prefix="sequin-records")
    browser = browser_of(ada)
    answer = browser.post(reverse("consumers:run_checks", args=[made.pk]))
    assert answer.status_code == 303
    made.refresh_from_db()
    assert made.promise == Promise.BASIC
    assert "Allow atomic batches" in text_of(browser.get(made.get_absolute_url()))
    answer = browser.post(reverse("consumers:allow_atomic", args=[made.pk]), headers=HTMX)
    assert 'id="consumer-checks"' in text_of(answer)
    made.refresh_from_db()
    assert made.promise == Promise.FENCED


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse")
def test_streamed_checks_of_a_stored_consumer_are_kept(stream, sync, ada, browser_of) -> None:
    made = make_consumer(stream, sync, subject_prefix="sequin-records")
    answer = browser_of(ada).post(reverse("consumers:run_checks", args=[made.pk]), headers=STREAM)
    assert "All is well" in lines_of(answer)[-1]["html"]
    made.refresh_from_db()
    assert len(made.checks) == 9


def test_checks_the_page_has_already_are_not_sent_again(consumer, vera, browser_of) -> None:
    consumer.checked_at = timezone.now()
    consumer.save()
    path = reverse("consumers:checks", args=[consumer.pk])
    page = text_of(browser_of(vera).get(path, headers=HTMX))
    again = re.search(r'hx-get="([^"]*checks/[^"]*)"', page)
    assert again is not None
    assert browser_of(vera).get(again[1], headers=HTMX).status_code == 204
    NatsConsumer.objects.update(checked_at=timezone.now())
    assert browser_of(vera).get(again[1], headers=HTMX).status_code == 200


# --- One consumer -----------------------------------------------------------------------------------------------


def test_actions_answer_with_the_state_afterwards(consumer, ada, browser_of) -> None:
    browser = browser_of(ada)
    for name, words, state in (
        ("pause", "Paused", ConsumerState.PAUSED),
        ("resume", "Delivering", ConsumerState.ACTIVE),
        ("replay", "Delivering", ConsumerState.ACTIVE),
        ("dismiss_warning", "Delivering", ConsumerState.ACTIVE),
    ):
        answer = browser.post(reverse(f"consumers:{name}", args=[consumer.pk]), headers=HTMX)
        assert (answer.status_code, 'id="consumer-state"' in text_of(answer), words in text_of(answer)) == (
            200,
            True,
            True,
        )
        assert "toast" in answer["HX-Trigger"]
        plain = browser.post(reverse(f"consumers:{name}", args=[consumer.pk]))
        assert (plain.status_code, plain["Location"]) == (303, consumer.get_absolute_url())
        consumer.refresh_from_db()
        assert consumer.state == state
    assert ConsumerCursor.objects.get().run == 3


def test_page_tells_trouble_held_records_and_how_to_read(consumer, sync, vera, browser_of) -> None:
    record = make_record(sync, "thing/1.a", seq=9)
    subject = f"{consumer.subject_prefix}.{sync.pk}.fake:thing.thing%2F1%2Ea"
    HeldMessage.objects.create(
        consumer=consumer, record=record, sync=sync, seq=9, subject=subject, size_bytes=2_000_000,
        limit_bytes=1_000_000, reason=f"Too large {HOSTILE}", next_step="Raise max_payload.", at=timezone.now(),
    )  # fmt: skip
    NatsConsumer.objects.update(error=f"NATS said {HOSTILE}", next_step="Do this.", state=ConsumerState.ERROR)
    page = text_of(browser_of(vera).get(consumer.get_absolute_url()))
    assert HOSTILE not in page
    for words in (
        "Do this.",
        "Raise max_payload.",
        "2.0 MB",
        "Set aside",
        reverse("syncs:record", args=[sync.pk, "fake:thing", "thing/1.a"]),
    ):
        assert words in page, words
    assert f"nats -s nats://127.0.0.1:{consumer.port} --user USER --password PASSWORD consumer add" in page
    assert SECRET not in page


def test_delete_asks_what_becomes_of_the_messages(consumer, ada, browser_of) -> None:
    browser, path = browser_of(ada), reverse("consumers:delete", args=[consumer.pk])
    page = text_of(browser.get(path))
    assert all(f'value="{choice}"' in page for choice in ("leave", "tombstones", "purge"))
    assert browser.post(path, {"messages": "burn"}).status_code == 422
    answer = browser.post(path, {"messages": "leave"})
    assert (answer.status_code, answer["Location"]) == (303, reverse("consumers:list"))
    assert not NatsConsumer.objects.exists()


# --- For other pages ----------------------------------------------------------------------------------------------


def test_sync_page_shows_its_consumers(consumer, sync, vera, browser_of) -> None:
    page = text_of(browser_of(vera).get(reverse("consumers:for_sync", args=[sync.pk]), headers=HTMX))
    assert consumer.name in page
    assert "Nothing waits" in page
    assert browser_of(vera).get(reverse("consumers:for_sync", args=[uuid4()])).status_code == 404


def test_record_page_shows_where_each_consumer_stands(consumer, sync, vera, browser_of) -> None:
    make_record(sync, "thing/1.a", seq=5)
    path = reverse("consumers:for_record", args=[sync.pk, "fake:thing", "thing/1.a"])
    page = text_of(browser_of(vera).get(path, headers=HTMX))
    assert "Waits to be delivered" in page
    assert f"{consumer.subject_prefix}.{sync.pk}.fake:thing.thing%2F1%2Ea" in page
    ConsumerCursor.objects.update(acked_seq=5, last_acked_at=timezone.now())
    assert "Confirmed by the stream" in text_of(browser_of(vera).get(path, headers=HTMX))
    assert browser_of(vera).get(reverse("consumers:for_record", args=[sync.pk, "fake:thing", "no"])).status_code == 404


# --- The live viewer's page ---------------------------------------------------------------------------------------


def test_without_javascript_the_last_messages_are_listed(stream, sync, vera, browser_of) -> None:
    made = make_consumer(stream, sync, subject_prefix="sequin-records")
    run(stream.publish(f"sequin-records.{sync.pk}.fake:thing.t1", f'{{"data":"{HOSTILE[:8]}"}}'.encode()))
    browser, path = browser_of(vera), reverse("consumers:live_detail", args=[made.pk])
    assert "?plain=1" in text_of(browser.get(path))
    page = text_of(browser.get(f"{path}?plain=1&last=200&collection=fake:thing"))
    assert "t1" in page
    assert "From outside" in page
    assert HOSTILE[:8] not in page
    assert "Nothing on the stream fits" in text_of(browser.get(f"{path}?plain=1&text=nowhere"))


def test_viewer_page_escapes_what_its_address_says(consumer, vera, browser_of) -> None:
    path = reverse("consumers:live_detail", args=[consumer.pk])
    page = text_of(
        browser_of(vera).get(path, {"text": HOSTILE, "sync": HOSTILE, "last": HOSTILE, "collection": HOSTILE})
    )
    assert HOSTILE not in page
