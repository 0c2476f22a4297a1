"""How each provider proves its deliveries, and what they name. Vectors are the providers' own where they have one."""

import base64
import hashlib
import hmac
import importlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from syncs.providers.github import webhooks as github_hooks
from syncs.providers.hubspot import webhooks as hubspot_hooks
from syncs.providers.jira import webhooks as jira_hooks
from syncs.providers.kit import webhooks
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.webhooks import Delivery, Told
from syncs.providers.stripe import webhooks as stripe_hooks
from syncs.providers.zendesk import webhooks as zendesk_hooks

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
URL = "https://console.example/hooks/any/path/"
WAYS = {each.__name__.split(".")[2]: each.WEBHOOK for each in (github_hooks, hubspot_hooks, jira_hooks, stripe_hooks,
                                                              zendesk_hooks)}  # fmt: skip
ALL = list(WAYS)


def delivery(body: bytes, now: datetime = NOW, **headers: str) -> Delivery:
    return Delivery({name.replace("_", "-"): value for name, value in headers.items()}, body, URL, now)


def way(key: str) -> webhooks.Webhook:
    return WAYS[key]


# --- Stripe ----------------------------------------------------------------------------------------------------------


def stripe_event(kind: str = "customer.updated", **obj: object) -> bytes:
    told = {"object": {"id": "cus_1", "object": "customer", **obj}}
    return json.dumps({"id": "evt_9", "object": "event", "type": kind, "created": 1, "data": told}).encode()


def stripe_signed(body: bytes, secret: str = "whsec_1", sent_at: datetime = NOW, **more: str) -> Delivery:
    stamp = str(int(sent_at.timestamp()))
    made = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    return delivery(body, stripe_signature=more.get("header", "t={t},v1={v1}").format(t=stamp, v1=made))


def is_proven(key: str, sent: Delivery, **secrets: str) -> bool:
    return way(key).verify(sent, secrets)


def test_stripe_takes_what_its_secret_signed() -> None:
    assert is_proven("stripe", stripe_signed(stripe_event()), secret="whsec_1")


def test_stripe_takes_any_of_several_signatures_while_a_secret_is_rolled() -> None:
    sent = stripe_signed(stripe_event(), header="t={t},v1=" + "0" * 64 + ",v1={v1},v0=abc")
    assert is_proven("stripe", sent, secret="whsec_1")


@pytest.mark.parametrize(
    "sent",
    [
        stripe_signed(stripe_event(), secret="whsec_2"),
        stripe_signed(stripe_event(), header="t={t},v0={v1}"),
        stripe_signed(stripe_event(), header="v1={v1}"),
        stripe_signed(stripe_event(), header="t={t}"),
        stripe_signed(stripe_event(), header="t=,v1={v1}"),
        stripe_signed(stripe_event(), header="t=²,v1={v1}"),
        stripe_signed(stripe_event(), header="t={t},v1=ü"),
        stripe_signed(stripe_event(), sent_at=NOW - timedelta(seconds=301)),
        delivery(stripe_event()),
    ],
    ids=["secret", "scheme", "no time", "no signature", "empty time", "odd digit", "odd letter", "replayed", "bare"],
)
def test_stripe_refuses_what_is_not_proven(sent: Delivery) -> None:
    assert not is_proven("stripe", sent, secret="whsec_1")


def test_stripe_refuses_a_body_or_time_that_was_changed_after_signing() -> None:
    signed = stripe_signed(stripe_event())
    assert not is_proven("stripe", delivery(signed.body + b" ", **as_parts(signed)), secret="whsec_1")
    later = signed.headers["stripe-signature"].replace(str(int(NOW.timestamp())), str(int(NOW.timestamp()) + 1))
    assert not is_proven("stripe", delivery(signed.body, stripe_signature=later), secret="whsec_1")


def as_parts(sent: Delivery) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in sent.headers.items()}


def test_stripe_names_the_object_its_owners_and_the_event() -> None:
    assert set(way("stripe").told(delivery(stripe_event()))) == {
        Told("stripe:customer", "cus_1"),
        Told("stripe:customer_tax_id", "cus_1"),
        Told("stripe:customer_balance_transaction", "cus_1"),
        Told("stripe:event", "evt_9"),
    }
    refund = stripe_event("refund.created", id="re_1", object="refund", charge="ch_1")
    assert {Told("stripe:refund", "re_1"), Told("stripe:charge", "ch_1")} <= set(way("stripe").told(delivery(refund)))
    card = stripe_event("customer.source.created", id="card_1", object="card", customer="cus_7")
    assert Told("stripe:customer", "cus_7") in way("stripe").told(delivery(card))


def test_stripes_preview_of_an_invoice_names_no_invoice() -> None:
    preview = stripe_event("invoice.upcoming", id="in_1", object="invoice")
    assert [each.collection_id for each in way("stripe").told(delivery(preview))] == ["stripe:event"]


# --- GitHub ----------------------------------------------------------------------------------------------------------

REPOSITORY = {"id": 42, "default_branch": "main"}


def github(event: str, **body: object) -> set[Told]:
    sent = delivery(json.dumps({"repository": REPOSITORY, **body}).encode(), x_github_event=event)
    return set(way("github").told(sent))


def of_github(name: str, *ids: str) -> set[Told]:
    return {Told(f"github:{name}", each) for each in ids}


def test_github_takes_its_own_documented_vector_and_nothing_else() -> None:
    made = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = "It's a Secret to Everybody"
    assert is_proven("github", delivery(b"Hello, World!", x_hub_signature_256=made), secret=secret)
    assert not is_proven("github", delivery(b"Hello, World?", x_hub_signature_256=made), secret=secret)
    assert not is_proven("github", delivery(b"Hello, World!", x_hub_signature_256=made), secret="another")
    assert not is_proven("github", delivery(b"Hello, World!", x_hub_signature_256=made[7:]), secret=secret)
    sha1 = "sha1=" + hmac.digest(secret.encode(), b"Hello, World!", "sha1").hex()
    assert not is_proven("github", delivery(b"Hello, World!", x_hub_signature=sha1), secret=secret)


def test_github_names_records_by_the_ids_we_keep_them_under() -> None:
    issue = {"number": 17, "id": 5}
    assert github("issues", action="deleted", issue=issue) == of_github("issue", "42/17")
    commented = github("issue_comment", issue=issue, comment={"id": 9})
    assert commented == of_github("issue", "42/17") | of_github("issue_comment", "42/9")
    both = of_github("issue", "42/8") | of_github("pull_request", "42/8")
    assert github("pull_request", pull_request={"number": 8}) == both
    reviewed = github("pull_request_review", pull_request={"number": 8}, review={"id": 3})
    assert reviewed == both | of_github("review", "42/8/3")
    remarked = github("pull_request_review_comment", pull_request={"number": 8}, comment={"id": 4})
    assert remarked == both | of_github("review_comment", "42/4")
    assert github("milestone", milestone={"number": 2, "id": 77}) == of_github("milestone", "42/2")
    assert github("release", release={"id": 6}) == of_github("release", "42/6")
    assert github("workflow_run", workflow_run={"id": 6}) == of_github("workflow_run", "42/6")
    assert github("delete", ref_type="branch", ref="topic") == of_github("branch", "42/topic")
    assert github("repository") == of_github("repository", "42")
    assert github("ping", zen="Keep it logically awesome.") == set()
    team = github("membership", team={"id": 7}, organization={"id": 5})
    assert team == of_github("team", "5/7") | of_github("team_member", "")


def test_githubs_pushes_name_commits_of_the_default_branch_only() -> None:
    few = [{"id": "a" * 40}, {"id": "b" * 40}]
    main = github("push", ref="refs/heads/main", commits=few)
    assert main == of_github("branch", "42/main") | of_github("commit", f"42/{'a' * 40}", f"42/{'b' * 40}")
    assert github("push", ref="refs/heads/topic", commits=few) == of_github("branch", "42/topic")
    assert github("push", ref="refs/tags/v1", commits=few) == of_github("tag", "42/v1")
    many = github("push", ref="refs/heads/main", commits=few * 10)
    assert many == of_github("branch", "42/main") | of_github("commit", "")


# --- Jira ------------------------------------------------------------------------------------------------------------


def test_jira_takes_the_documented_vector_of_an_admins_webhook() -> None:
    made = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    secret = "It's a Secret to Everybody"
    assert is_proven("jira", delivery(b"Hello World!", x_hub_signature=made), secret=secret)
    assert not is_proven("jira", delivery(b"Hello World?", x_hub_signature=made), secret=secret)
    assert not is_proven("jira", delivery(b"Hello World!", x_hub_signature=made), secret="another")


def jira_token(secret: str, algorithm: str = "HS256", **claims: float) -> str:
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": algorithm}, {"iss": "client", **claims}, key, algorithms=[algorithm])


@pytest.mark.parametrize(
    ("token", "is_good"),
    [
        (jira_token("app-secret-long-enough-for-hs256-keys", exp=NOW.timestamp() + 60), True),
        (jira_token("app-secret-long-enough-for-hs256-keys", iat=NOW.timestamp() - 60), True),
        (jira_token("app-secret-long-enough-for-hs256-keys", exp=NOW.timestamp() - 301), False),
        (jira_token("app-secret-long-enough-for-hs256-keys", iat=NOW.timestamp() - 301), False),
        (jira_token("app-secret-long-enough-for-hs256-keys"), False),
        (jira_token("app-secret-long-enough-for-hs512-keys-which-are-twice-as-long-as-those", "HS512", exp=9e9), False),
        (jira_token("another-secret-long-enough-for-hs256-keys", exp=NOW.timestamp() + 60), False),
        ("eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.", False),
        ("nonsense", False),
        ("", False),
    ],
    ids=["exp", "iat", "ended", "old", "no time", "HS512", "secret", "alg none", "nonsense", "empty"],
)
def test_jira_takes_the_jwt_of_an_apps_webhook(token: str, is_good: bool) -> None:
    sent = delivery(b"{}", authorization=f"Bearer {token}")
    assert is_proven("jira", sent, client_secret="app-secret-long-enough-for-hs256-keys") is is_good
    assert not is_proven("jira", sent, secret="app-secret-long-enough-for-hs256-keys")


def jira(**body: object) -> set[Told]:
    return set(way("jira").told(delivery(json.dumps(body).encode())))


def of_jira(**named: str) -> set[Told]:
    return {Told(f"jira:{name}", each) for name, each in named.items()}


def test_jira_names_what_changed() -> None:
    updated = jira(webhookEvent="jira:issue_updated", issue={"id": "10002", "key": "ACME-1"}, changelog={"id": "1"})
    assert updated == of_jira(issue="10002", changelog="")
    assert jira(webhookEvent="jira:issue_deleted", issue={"id": "10002"}) == of_jira(issue="10002")
    comment = jira(webhookEvent="comment_created", comment={"id": "7"}, issue={"id": "10002"})
    assert comment == of_jira(issue="10002", comment="7")
    worklog = jira(webhookEvent="worklog_updated", worklog={"id": "8", "issueId": "10002"})
    assert worklog == of_jira(worklog="8", issue="10002")
    assert jira(webhookEvent="sprint_started", sprint={"id": 3}) == of_jira(sprint="3")
    assert jira(webhookEvent="jira:version_released", version={"id": "4"}) == of_jira(version="4")
    assert jira(webhookEvent="user_updated", user={"accountId": "a:1"}) == of_jira(user="a:1")
    assert jira(webhookEvent="filter_created", filter={"id": 1}) == set()


# --- Zendesk ---------------------------------------------------------------------------------------------------------


def zendesk_signed(body: bytes, secret: str = "zd-secret", sent_at: datetime = NOW) -> Delivery:
    stamp = sent_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    made = base64.b64encode(hmac.digest(secret.encode(), stamp.encode() + body, "sha256")).decode()
    return delivery(body, x_zendesk_webhook_signature=made, x_zendesk_webhook_signature_timestamp=stamp)


def test_zendesk_signs_time_and_body() -> None:
    assert is_proven("zendesk", zendesk_signed(b"{}"), secret="zd-secret")
    assert not is_proven("zendesk", zendesk_signed(b"{}"), secret="another")
    assert not is_proven("zendesk", zendesk_signed(b"{}", sent_at=NOW - timedelta(seconds=301)), secret="zd-secret")
    signed = zendesk_signed(b"{}")
    assert not is_proven("zendesk", delivery(b"{ }", **as_parts(signed)), secret="zd-secret")
    later = {**as_parts(signed), "x_zendesk_webhook_signature_timestamp": "2026-11-23T09:00:01Z"}
    assert not is_proven("zendesk", delivery(b"{}", **later), secret="zd-secret")
    assert not is_proven("zendesk", delivery(b"{}"), secret="zd-secret")


def zendesk(kind: str, **detail: object) -> set[Told]:
    return set(way("zendesk").told(delivery(json.dumps({"type": kind, "detail": detail}).encode())))


def test_zendesk_names_tickets_users_and_organizations() -> None:
    told = zendesk("zen:event-type:ticket.status_changed", id="4045", status="OPEN")
    assert Told("zendesk:ticket", "4045") in told
    assert {each.upstream_id for each in told} == {"4045", ""}  # comments and audits are looked for
    assert zendesk("zen:event-type:user.deleted", id="7") == {Told("zendesk:user", "7")}
    assert zendesk("zen:event-type:organization.created", id="9") == {Told("zendesk:organization", "9")}
    assert zendesk("zen:event-type:article.published", id="1") == set()


# --- HubSpot ---------------------------------------------------------------------------------------------------------


def test_hubspot_takes_its_own_documented_vector() -> None:
    sent = Delivery(
        {
            "x-hubspot-request-timestamp": "1693657560000",
            "x-hubspot-signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
        },
        b"{'example_field':'example_value'}",
        "https://www.example.com/webhook_uri",
        datetime.fromtimestamp(1693657560, UTC),
    )
    secret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
    assert is_proven("hubspot", sent, secret=secret)
    assert not is_proven("hubspot", replace(sent, body=sent.body + b" "), secret=secret)
    assert not is_proven("hubspot", replace(sent, url=sent.url + "/"), secret=secret)
    assert not is_proven("hubspot", replace(sent, now=sent.now + timedelta(seconds=301)), secret=secret)
    assert not is_proven("hubspot", sent, secret="another")
    older = hashlib.sha256(secret.encode() + sent.body).hexdigest()  # v1 tells no time, and is not taken
    assert not is_proven("hubspot", delivery(sent.body, x_hubspot_signature=older), secret=secret)


def test_hubspot_names_objects_in_their_accounts() -> None:
    events = [
        {"subscriptionType": "contact.propertyChange", "portalId": 1, "objectId": 501, "propertyName": "email"},
        {"subscriptionType": "contact.propertyChange", "portalId": 1, "objectId": 501, "propertyName": "phone"},
        {"subscriptionType": "deal.deletion", "portalId": 2, "objectId": 7},
        {"subscriptionType": "object.creation", "objectTypeId": "0-8", "portalId": 1, "objectId": 9},
        {"subscriptionType": "company.merge", "portalId": 1, "primaryObjectId": 3, "mergedObjectIds": [4, 5]},
        {"subscriptionType": "conversation.creation", "portalId": 1, "objectId": 6},
    ]
    told = list(way("hubspot").told(delivery(json.dumps(events).encode())))
    assert told == [
        Told("hubspot:contact", "501", "1"),
        Told("hubspot:deal", "7", "2"),
        Told("hubspot:line_item", "9", "1"),
        Told("hubspot:company", "3", "1"),
        Told("hubspot:company", "4", "1"),
        Told("hubspot:company", "5", "1"),
    ]


# --- All -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ALL)
def test_without_a_secret_nothing_is_proven(key: str) -> None:
    assert not is_proven(key, stripe_signed(stripe_event(), secret=""))
    assert not is_proven(key, stripe_signed(stripe_event(), secret=""), secret="", client_secret="")


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"{}", b'[{"a":1}]', b'{"data":{}}'])
def test_a_body_of_another_form_names_nothing_or_is_refused(key: str, body: bytes) -> None:
    try:
        found = list(way(key).told(delivery(body)))
    except UnexpectedShape:
        return
    assert all(each.upstream_id == "" for each in found)


@pytest.mark.parametrize("key", ALL)
def test_what_it_tells_of_is_in_the_catalogue(key: str) -> None:
    ids = {each.id for each in importlib.import_module(f"syncs.providers.{key}").PROVIDER.collections}
    assert way(key).about
    assert set(way(key).about) <= ids


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("stripe", delivery(stripe_event())),
        ("github", delivery(json.dumps({"repository": {"id": 1}, "issue": {"number": 2, "pull_request": {}},
                                        "comment": {"id": 3}}).encode(), x_github_event="issue_comment")),
        ("github", delivery(json.dumps({"organization": {"id": 1}, "team": {"id": 2}}).encode(),
                            x_github_event="membership")),
        ("jira", delivery(b'{"webhookEvent":"jira:issue_updated","issue":{"id":"1"},"changelog":{"id":"2"}}')),
        ("jira", delivery(b'{"webhookEvent":"sprint_started","sprint":{"id":3}}')),
        ("zendesk", delivery(b'{"type":"zen:event-type:ticket.created","detail":{"id":"1"}}')),
        ("hubspot", delivery(b'[{"subscriptionType":"object.creation","objectTypeId":"0-48","objectId":9}]')),
    ],
)  # fmt: skip
def test_what_it_names_is_what_it_is_said_to_tell_of(key: str, sent: Delivery) -> None:
    found = list(way(key).told(sent))
    assert found
    for each in found:
        assert (each.upstream_id == "") == (way(key).about[each.collection_id] == webhooks.LOOK)


def test_hubspots_associations_name_the_object_of_the_event_alone() -> None:
    event = {"subscriptionType": "contact.associationChange", "portalId": 1, "fromObjectId": 5, "toObjectId": 7}
    assert list(way("hubspot").told(delivery(json.dumps([event]).encode()))) == [Told("hubspot:contact", "5", "1")]


@pytest.mark.parametrize("key", ALL)
def test_each_provider_is_given_its_own(key: str) -> None:
    assert importlib.import_module(f"syncs.providers.{key}").PROVIDER.webhook is WAYS[key]


@pytest.mark.parametrize("key", ALL)
def test_steps_and_rights_are_told(key: str) -> None:
    found = way(key)
    assert len(found.steps) >= 2
    assert found.tells
    assert (found.register is None) or (found.rights and found.remove and found.kinds)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider compares through the kit, and the kit by hmac.compare_digest."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(webhooks.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    assert is_proven("stripe", stripe_signed(stripe_event()), secret="whsec_1")
    assert len(compared) == 1
    assert webhooks.is_same("abc", "abc")
    assert not webhooks.is_same("abc", "abd")
    assert not webhooks.is_same("", "")
