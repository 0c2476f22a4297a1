"""What the syncs pages work out before anything is drawn."""

from types import SimpleNamespace

import pytest
from django import forms

from sequin_console.common.forms import SecretLines
from syncs.connection_forms import OAuthAppForm, PasteForm, form_field
from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import Collection, Deletes, SetupField
from syncs.views.connect import ways
from syncs.views.records import History, fields
from syncs.views.wizard import Option, groups, size_mark

TITLES = {"usual": ["a"], "custom": ["b__c"], "rest": ["c"]}


def collection(key: str, **extra: object) -> Collection:
    return Collection(id=key, title=key, feed=key, upstream=key, **({"deletes": Deletes.FLAG} | extra))  # type: ignore[arg-type]


def titles(found: dict[str, list[Option]]) -> dict[str, list[str]]:
    return {group: [option.collection.title for option in options] for group, options in found.items()}


def test_collections_are_grouped_by_who_needs_them() -> None:
    offered = (collection("a"), collection("b__c", custom=True), collection("c", shown=False))
    assert titles(groups(offered, [])) == TITLES


def test_picked_collection_is_never_hidden_among_the_rest() -> None:
    found = groups(
        (collection("a"), collection("c", shown=False), collection("d__x", shown=False, custom=True)), ["c", "d__x"]
    )
    assert titles(found) == {"usual": ["a", "c"], "custom": ["d__x"], "rest": []}
    assert [option.checked for option in found["usual"]] == [False, True]


@pytest.mark.parametrize(
    ("deletes", "every_h", "words"),
    [
        (Deletes.FLAG, 168, "next look for changes. So within the interval between looks."),
        (Deletes.SWEEP, 168, "Found by comparing ids from time to time. Within 7 days."),
        (Deletes.SWEEP, 24, "Found by comparing ids from time to time. Within 24 hours."),
        (Deletes.SWEEP, None, "They are never found: it is switched off."),
        (Deletes.NONE, None, "Records of this kind are never deleted."),
    ],
)
def test_each_option_says_how_deletes_are_found(deletes: Deletes, every_h: int | None, words: str) -> None:
    assert words in Option(collection("a", deletes=deletes, sweep_every_h=every_h), False).deletes.in_words


def test_place_of_a_size_is_an_html_id() -> None:
    assert size_mark("salesforce:my.obj__c") == "size-salesforce-my-obj--c"


@pytest.mark.parametrize("key", list(PROVIDERS))
def test_every_provider_can_be_connected_some_way(key: str) -> None:
    provider = PROVIDERS[key]
    for way in ways(provider):
        if not way.by_redirect:
            form = PasteForm(provider=provider, kind=way.kind)
            secret = [field.key for field in way.kind.fields if field.secret]
            assert secret
            assert all(isinstance(form.fields[name].widget, forms.PasswordInput | SecretLines) for name in secret)


def test_kind_that_asks_for_nothing_is_a_redirect() -> None:
    assert [(way.key, way.by_redirect) for way in ways(PROVIDERS["salesforce"])] == [
        ("salesforce_oauth2", True),
        ("salesforce", False),
        ("salesforce_client_credentials", False),
        ("salesforce_jwt", False),
    ]


def test_secret_typed_before_is_not_sent_back() -> None:
    provider = PROVIDERS["salesforce"]
    form = OAuthAppForm(
        {"name": "", "client_id": "id", "client_secret": "s3cret", "host": "sandbox"}, provider=provider
    )
    assert not form.is_valid()
    assert "s3cret" not in str(form)
    assert form_field(SetupField("secret", "Key", secret=True)).widget.render_value is False  # type: ignore[attr-defined]


def version(before: str | None, after: str) -> History:
    return History(SimpleNamespace(before=before, after=after))  # type: ignore[arg-type]


def test_differences_name_what_changed_came_and_went() -> None:
    found = version('{"a":1,"b":1.10,"c":[1,2]}', '{"a":2,"b":1.10,"d":null}').differences
    assert [(each.key, each.before, each.after) for each in found] == [
        ("a", "1", "2"),
        ("c", "[1,2]", None),
        ("d", None, "null"),
    ]


@pytest.mark.parametrize("document", ["", "[1]", "no json", '{"a":', "7"])
def test_document_that_is_no_object_has_no_fields(document: str) -> None:
    assert fields(document) == {}
    assert version(None, document).differences == []


def test_numbers_keep_every_digit() -> None:
    assert fields('{"n":12345678901234567890123,"p":1.10}') == {"n": "12345678901234567890123", "p": "1.10"}
