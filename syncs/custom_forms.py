"""The form that describes an API: a definition in plain words, and back. The definition's own rules do the checking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from sequin_console.common.problems import Problem
from syncs.providers.custom import Definition

AUTHS = [
    ("header", "A key in a header"),
    ("query", "A key in the address (query)"),
    ("bearer", "An access token (bearer)"),
    ("basic", "User and password (basic)"),
    ("oauth_code", "People sign in (OAuth 2, authorization code)"),
    ("client_credentials", "Client id and secret (OAuth 2, client credentials)"),
]
PAGINGS = [
    ("none", "It does not: all records come at once"),
    ("link_header", "The next page stands in the Link header"),
    ("next_url", "The next page’s address stands in the answer"),
    ("page_token", "The answer holds a token for the next page"),
    ("offset", "A parameter says how many to skip"),
    ("page_number", "Pages are counted"),
    ("keyset", "The next page begins after the last record"),
]
SINCE = [
    ("", "It cannot: read the whole list each time"),
    ("rfc3339", "By a time such as 2026-11-26T08:00:00Z"),
    ("unix_s", "By a time in seconds since 1970"),
    ("unix_ms", "By a time in milliseconds since 1970"),
    ("date", "By a date such as 2026-11-26"),
]
SWEEPS = [("", "Never"), ("24", "Every day"), ("168", "Every 7 days"), ("720", "Every 30 days")]
# What of a chosen way stands in which field.
AUTH_FIELDS: dict[str, dict[str, str]] = {
    "header": {"name": "header_name", "prefix": "key_prefix"},
    "query": {"name": "query_name"},
    "bearer": {},
    "basic": {},
    "oauth_code": {name: name for name in ("authorize_url", "token_url", "scopes", "client_auth")},
    "client_credentials": {name: name for name in ("token_url", "scopes", "client_auth")},
}  # fmt: skip
PAGING_FIELDS: dict[str, dict[str, str]] = {
    "none": {},
    "link_header": {},
    "next_url": {"path": "next_path", "more": "more"},
    "page_token": {"path": "token_path", "param": "token_param", "more": "more"},
    "offset": {"param": "offset_param", "total": "total"},
    "page_number": {"param": "page_param", "first": "page_first", "pages": "pages"},
    "keyset": {"id_param": "id_param", "time_param": "time_param", "more": "more"},
}
PLAIN_API = ("key", "label", "base_url", "docs", "help", "per_s")
PLAIN_COLLECTION = (
    "id", "title", "path", "list_at", "id_at", "updated_at", "created_at", "size_param", "size", "record_path",
    "record_at",
)  # fmt: skip


def _text(label: str, help_text: str = "", example: str = "", **more: Any) -> forms.CharField:
    attrs = {"autocomplete": "off", "spellcheck": "false", **({"placeholder": example} if example else {})}
    options = {"required": False, "max_length": 300, "widget": forms.TextInput(attrs=attrs), **more}
    return forms.CharField(label=label, help_text=help_text, **options)


def _lines(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        label=label, help_text=help_text, required=False, max_length=4000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "name=value"}),
    )  # fmt: skip


@dataclass(frozen=True)
class FormPart:
    """Fields that stand together."""

    title: str
    icon: str
    fields: list[forms.BoundField]


class PartedForm(forms.Form):
    """A form in parts: a heading, its icon, and the first field of each."""

    PARTS: tuple[tuple[str, str, str], ...] = ()

    @property
    def parts(self) -> list[FormPart]:
        begins = {first: FormPart(title, icon, []) for title, icon, first in self.PARTS}
        part = next(iter(begins.values()))
        for field in self:
            part = begins.get(field.name, part)
            part.fields.append(field)
        return list(begins.values())


class ApiForm(PartedForm):
    """The API as a whole."""

    PARTS = (
        ("The API", "api", "label"),
        ("How we are let in", "circle-key", "auth"),
        ("Further", "settings", "headers"),
    )

    label = _text("Name", "As people see it here.", "Acme CRM", max_length=60, required=True)
    key = _text(
        "Key",
        "Part of ids and subjects: small letters, digits, dashes. It stays.",
        "acme-crm",
        max_length=24,
        required=True,
    )
    base_url = _text(
        "Base URL", "Where the API lives, without the lists’ own paths.", "https://api.acme.com/v2", required=True
    )
    auth = forms.ChoiceField(label="How are we let in?", choices=AUTHS)
    header_name = _text("Name of the header", example="X-Api-Key")
    key_prefix = _text(
        "What stands before the key", "With its blank, if there is one.", "Token ", strip=False, max_length=40
    )
    query_name = _text("Name of the parameter", example="api_key")
    authorize_url = _text("Address where people sign in", "“Authorization URL” in most documentations.")
    token_url = _text("Address that gives out tokens", "“Token URL” in most documentations.")
    scopes = _text("Scopes", "The least that may read. Separated by blanks.", max_length=2000)
    client_auth = forms.ChoiceField(
        label="Where the client secret goes", required=False,
        choices=[("body", "Among the parameters"), ("basic", "Into a header (basic)")]
    )  # fmt: skip
    headers = _lines("Headers of every request", "One a line. A version, for example; never a secret.")
    per_s = forms.FloatField(label="Requests a second, at most", initial=5, min_value=0.01, max_value=1000)
    docs = _text("Address of its documentation")
    help = forms.CharField(
        label="For whoever connects an account", required=False, max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}), help_text="Where the key is found, for example.",
    )  # fmt: skip

    def __init__(self, *args: Any, is_new: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _belong(self, "auth", AUTH_FIELDS)
        if not is_new:
            self.fields["key"].widget.attrs["readonly"] = True


class CollectionForm(PartedForm):
    """One list."""

    PARTS = (
        ("", "", "title"),
        ("Where things are in the answer", "", "list_at"),
        ("Pages", "", "paging"),
        ("Changes and deletions", "", "since"),
    )

    title = _text("Name", example="Contacts", max_length=100, required=True)
    id = _text("Id", "Small letters, digits, dashes.", "contacts", max_length=40, required=True)
    path = _text("Path", "Goes on from the base URL.", "/contacts", required=True)
    params = _lines("Parameters", "One a line: the order, a filter.")
    list_at = _text(
        "Where the list is", "Names with dots between: data.items. Empty: the answer is the list.", "data.items"
    )
    id_at = _text("Where the id is", example="id", required=True)
    updated_at = _text("Where the time of the last change is", example="updated_at")
    created_at = _text("Where the time of creation is", example="created_at")
    paging = forms.ChoiceField(label="How does the list go on?", choices=PAGINGS)
    next_path = _text("Where the address is", example="links.next")
    token_path = _text("Where the token is", example="next_page_token")
    token_param = _text("Parameter it is sent as", example="page_token")
    offset_param = _text("Parameter", example="offset")
    total = _text("Where the number of all records is")
    page_param = _text("Parameter", example="page")
    page_first = forms.ChoiceField(label="The first page is number", choices=[("1", "1"), ("0", "0")], required=False)
    pages = _text("Where the number of pages is")
    id_param = _text("Parameter for the last id", example="after_id")
    time_param = _text("Parameter for the last change time", "Where the list is in order of time and id.")
    more = _text("Where a true says that more follow")
    size_param = _text("Parameter for the size of a page", example="limit")
    size = forms.IntegerField(label="Records on a page", initial=100, min_value=1, max_value=10_000)
    since = forms.ChoiceField(label="Can it tell what changed?", choices=SINCE, required=False)
    since_param = _text("Parameter", example="updated_since")
    overlap_s = forms.IntegerField(
        label="Seconds read again", initial=900, min_value=0, max_value=604_800, required=False,
        help_text="Indexes run late, and clocks are set.",
    )  # fmt: skip
    whole_every_s = forms.IntegerField(
        label="Seconds between whole readings", initial=3600, min_value=60, max_value=604_800, required=False
    )
    record_path = _text("Path of one record", "With {id} where the id goes.", "/contacts/{id}")
    record_at = _text("Where the record is in that answer", "Empty: it is the answer.")
    sweep_every_h = forms.ChoiceField(
        label="Look for deletions", choices=SWEEPS, initial="168", required=False, help_text="By comparing all ids."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _belong(self, "paging", PAGING_FIELDS)
        for name, choices in (("since_param", SINCE[1:]), ("overlap_s", SINCE[1:]), ("whole_every_s", SINCE[:1])):
            where = "|".join(value for value, _ in choices)
            self.fields[name].widget.attrs["data-only-with"] = f"{self.add_prefix('since')}={where}"


def _belong(form: forms.Form, choice: str, fields: Mapping[str, Mapping[str, str]]) -> None:
    """Show a field only with the choices it belongs to (forms.js)."""
    for name in {field for each in fields.values() for field in each.values()}:
        values = "|".join(value for value, each in fields.items() if name in each.values())
        form.fields[name].widget.attrs["data-only-with"] = f"{form.add_prefix(choice)}={values}"


# --- Between forms and definition ------------------------------------------------------------------------------------


def api_initial(definition: Definition) -> dict[str, Any]:
    """The first form's values of a definition."""
    data = definition.as_json()
    auth = data["auth"]
    values = {name: data[name] for name in PLAIN_API} | {"auth": auth["type"], "headers": _as_lines(data["headers"])}
    values |= {field: auth[name] for name, field in AUTH_FIELDS[auth["type"]].items()}
    return values | {"scopes": " ".join(auth.get("scopes", ()))}


def collection_initials(definition: Definition) -> list[dict[str, Any]]:
    """The collection forms' values of a definition."""
    return [_collection_initial(each) for each in definition.as_json()["collections"]]


def _collection_initial(data: dict[str, Any]) -> dict[str, Any]:
    paging, asked = data["paging"], data["incremental"] or {}
    values = {name: data[name] for name in PLAIN_COLLECTION} | {"paging": paging["type"]}
    values |= {field: paging[name] for name, field in PAGING_FIELDS[paging["type"]].items()}
    values |= {"since": asked.get("format", ""), "since_param": asked.get("param", "")}
    values |= {"overlap_s": asked.get("overlap_s", 900), "whole_every_s": data["whole_every_s"]}
    return values | {"params": _as_lines(data["params"]), "sweep_every_h": str(data["sweep_every_h"] or "")}


def as_data(
    api: Mapping[str, Any], collections: Sequence[Mapping[str, Any]], stored: Definition | None
) -> dict[str, Any]:
    """A definition's JSON of cleaned forms. What no field shows is kept from the stored one."""
    kept = stored.as_json() if stored else {"collections": []}
    auth = {"type": api["auth"]} | {
        name: api[field] for name, field in AUTH_FIELDS[api["auth"]].items() if api[field] != ""
    }
    if kept.get("auth", {}).get("type") == api["auth"]:
        auth = {**kept["auth"], **auth}
    lists = {each["id"]: each for each in kept["collections"]}
    return {
        **{name: value for name, value in kept.items() if name not in ("collections", "auth")},
        **{name: api[name] for name in PLAIN_API},
        "auth": auth,
        "headers": _pairs(api["headers"]),
        "collections": [_collection_data(each, lists.get(each["id"], {})) for each in collections],
    }


def _collection_data(values: Mapping[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    way = values["paging"]
    paging = {"type": way} | {
        name: int(values[field] or 1) if name == "first" else values[field]
        for name, field in PAGING_FIELDS[way].items()
        if values[field] != ""
    }
    if kept.get("paging", {}).get("type") == way and way == "link_header":
        paging = kept["paging"]
    asked = None
    if values["since"]:
        asked = {"format": values["since"], "param": values["since_param"]}
        asked |= {} if values["overlap_s"] is None else {"overlap_s": values["overlap_s"]}
    whole = {} if values["whole_every_s"] is None else {"whole_every_s": values["whole_every_s"]}
    return {
        **kept,
        **{name: values[name] for name in PLAIN_COLLECTION},
        **whole,
        "params": _pairs(values["params"]),
        "paging": paging,
        "incremental": asked,
        "sweep_every_h": int(values["sweep_every_h"]) if values["sweep_every_h"] else None,
    }


def _pairs(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _as_lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in values.items())


def show_problem(problem: Problem, api: ApiForm, collections: list[CollectionForm]) -> None:
    """Each mistake at its field; what has none stands above the form it is about."""
    for name, errors in problem.fields.items():
        form, field = _field_of(name.split("."), api, collections)
        for error in errors:
            form.add_error(field if field in form.fields else None, error)
    if not problem.fields:
        api.add_error(None, " ".join(filter(None, (problem.message, problem.next_step))))


def _field_of(path: list[str], api: ApiForm, collections: list[CollectionForm]) -> tuple[forms.Form, str]:
    if path[0] == "collections" and len(path) > 1 and path[1].isdigit():
        form, rest = collections[int(path[1])], path[2:] or [""]
        if rest[0] == "paging" and len(rest) > 1:
            return form, PAGING_FIELDS[form.cleaned_data["paging"]].get(rest[-1], "paging")
        if rest[0] == "incremental":
            return form, {"param": "since_param", "format": "since"}.get(rest[-1], rest[-1])
        return form, rest[0]
    if path[0] == "auth" and len(path) > 1:
        return api, AUTH_FIELDS[api.cleaned_data["auth"]].get(path[-1], "auth")
    return api, path[0]
