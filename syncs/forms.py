"""Forms of the syncs pages. They follow the provider catalogue; services do the work and the checking."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.html import format_html

from syncs import hosts
from syncs.budget import ALL
from syncs.coverage import hours
from syncs.models import Credential, OAuthApp, Sync, SyncCollection
from syncs.providers.kit.catalogue import CredentialKind, Field, Host, Provider, SetupField, Site
from syncs.providers.kit.values import LOGIN_URL, BadValue
from syncs.states import OnDrift, Removal

HOST = "host"

POLL_CHOICES = [
    (2, "Every 2 seconds"),
    (5, "Every 5 seconds"),
    (10, "Every 10 seconds"),
    (30, "Every 30 seconds"),
    (60, "Every minute"),
    (300, "Every 5 minutes"),
    (900, "Every 15 minutes"),
    (3600, "Every hour"),
    (21600, "Every 6 hours"),
    (86400, "Once a day"),
]
POLL_HELP = "How often we ask for what changed. More often is fresher, and uses more of the provider's request quota."
QUIET_HELP = "Looks that find nothing become rarer, down to this. The first that finds something ends it."

OWN, OTHER = "own", "hours"
SWEEP_PRESETS_H = (1, 6, 24, 7 * 24, 30 * 24, 0)
SWEEP_NOTES = {
    0: "Careful: a record that is deleted without a word then stays live on the stream for ever.",
}

DRIFT_NOTES = {
    OnDrift.CARRY_ON: "New fields arrive, removed ones go. It is noted.",
    OnDrift.TELL: "The same, and it is shown until somebody has looked.",
    OnDrift.STOP: "Nothing more of that collection is stored until somebody accepts the change.",
}

REMOVAL_NOTES = {
    Removal.LEAVE: "Readers keep what they have. It just stops changing.",
    Removal.TOMBSTONES: "Readers get a last message for each record: it is deleted. Choose this if they keep a copy.",
    Removal.PURGE: "The stream forgets the messages. Readers that have copied them are not told.",
}


def choice(label: str, note: str) -> str:
    """A radio button's label with a quieter line under it."""
    if not note:
        return label
    return format_html('{}<span class="choice-note">{}</span>', label, note)


# --- Connections -----------------------------------------------------------------------------------------------------


class OAuthAppForm(forms.Form):
    """A customer's own OAuth app at one provider. The secret is never sent back: empty keeps what is stored."""

    name = forms.CharField(label="Name", max_length=100, help_text="Only for you, to tell apps apart.")
    client_id = forms.CharField(
        label="Client id", max_length=400, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    client_secret = forms.CharField(
        label="Client secret", strip=True, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, provider: Provider, app: OAuthApp | None = None, **kwargs: Any) -> None:
        initial = {"name": f"{provider.label} app", HOST: provider.hosts[0].key if provider.hosts else ""}
        if app is not None:
            initial = {field: getattr(app, field) for field in ("name", "client_id", HOST, LOGIN_URL)} | app.settings
        super().__init__(*args, **{"initial": initial, **kwargs})
        add_host_fields(self, hosts.choices(provider), "Where do people sign in?")
        self.fields["client_secret"].label = next(kind.oauth.proof_label for kind in provider.kinds if kind.oauth)
        self.own = provider.app_fields()
        for field in self.own:
            self.fields[field.key] = form_field(field)
        for key in ("client_secret", *(field.key for field in self.own if field.secret)):
            if app is not None and app.secrets.get(key):
                self.fields[key].required = False
                self.fields[key].help_text = "Stored. Leave empty to keep it."

    def values(self) -> dict[str, Any]:
        """What was typed, as the service takes it: what only this provider's apps have stands apart."""
        typed = dict(self.cleaned_data)
        return {"properties": {field.key: typed.pop(field.key) for field in self.own}, **typed}


class RedirectForm(forms.Form):
    """Which OAuth app to go through, and what to call the connection."""

    app = forms.ModelChoiceField(label="OAuth app", queryset=OAuthApp.objects.none(), empty_label=None)
    name = forms.CharField(
        label="Name of the connection", max_length=100, required=False, help_text="For example “Sales production”."
    )

    def __init__(self, *args: Any, apps: Sequence[OAuthApp], kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"app": apps[0].pk if apps else None}, **kwargs})
        self.fields["app"].queryset = OAuthApp.objects.filter(pk__in=[app.pk for app in apps])  # type: ignore[attr-defined]
        add_editable(self, kind)

    def settings(self) -> dict[str, str]:
        return editable_of(self)


class PasteForm(forms.Form):
    """The fields one credential kind asks for. Secrets are checked, stored encrypted, and never sent back."""

    name = forms.CharField(label="Name of the connection", max_length=100, required=False)

    def __init__(
        self, *args: Any, provider: Provider, kind: CredentialKind, apps: Iterable[OAuthApp] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.fields["name"].widget.attrs["placeholder"] = f"{provider.label} account"
        if kind.oauth is not None:
            choices = [(str(app.pk), app.name) for app in apps]
            self.fields["oauth_app_id"] = forms.ChoiceField(
                label="OAuth app", choices=choices, help_text="The app that the token was given to."
            )
        elif len(offered := hosts.choices(provider, kind)) > 1 or not all(host.url for host in offered):
            add_host_fields(self, offered, "Where is the account?")
        for field in kind.fields:
            self.fields[field.key] = form_field(field)

    def secrets(self) -> dict[str, str]:
        return self._typed(secret=True)

    def settings(self) -> dict[str, str]:
        typed = {key: self.cleaned_data[key] for key in (HOST, LOGIN_URL) if self.cleaned_data.get(key)}
        return typed | self._typed(secret=False)

    def _typed(self, *, secret: bool) -> dict[str, str]:
        wanted = (field.key for field in self.kind.fields if field.secret is secret)
        return {key: self.cleaned_data[key] for key in wanted if self.cleaned_data.get(key)}


class SecretLines(forms.Textarea):
    """Several secret lines. Like a password, they are not sent back with a form that has an error."""

    def format_value(self, value: Any) -> str:
        return ""


class SiteForm(forms.Form):
    """Which of the accounts that a sign-in opens."""

    site = forms.ChoiceField(label="Account", widget=forms.RadioSelect)

    def __init__(self, *args: Any, offered: Sequence[Site], **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"site": offered[0].id}, **kwargs})
        self.fields["site"].choices = [(site.id, site.label) for site in offered]  # type: ignore[attr-defined]


class ReplaceForm(forms.Form):
    """New secrets for a connection that exists: only what is secret is asked again."""

    def __init__(self, *args: Any, credential: Credential, kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.credential, self.kind = credential, kind
        for field in kind.fields:
            self.fields[field.key] = form_field(field)
            if not field.secret:
                self.initial[field.key] = credential.settings.get(field.key, "")

    def secrets(self) -> dict[str, str]:
        return {f.key: self.cleaned_data[f.key] for f in self.kind.fields if f.secret and self.cleaned_data[f.key]}

    def settings(self) -> dict[str, str]:
        typed = {f.key: self.cleaned_data[f.key] for f in self.kind.fields if not f.secret and self.cleaned_data[f.key]}
        return {**self.credential.settings, **typed}


class NameForm(forms.Form):
    """A connection's name, and what it reads where its kind lets one choose."""

    name = forms.CharField(label="Name", max_length=100)

    def __init__(self, *args: Any, credential: Credential, kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {**credential.settings, "name": credential.name}, **kwargs})
        add_editable(self, kind)

    def settings(self) -> dict[str, str]:
        return editable_of(self)


def add_editable(form: forms.Form, kind: CredentialKind) -> None:
    """The fields of a kind that say what is read. What is typed has its one spelling then; a bad one is told there."""
    for field in kind.editable:
        form.fields[field.key] = form_field(field)
        form.fields[field.key].validators.append(_cleans(field))
    form.editable = kind.editable  # type: ignore[attr-defined]


def editable_of(form: Any) -> dict[str, str]:
    """What was typed into them, in its one spelling; empty ones too, for they empty what was there."""
    typed = {field.key: (field, form.cleaned_data.get(field.key) or "") for field in form.editable}
    return {key: field.clean(value) if value else "" for key, (field, value) in typed.items()}


def _cleans(field: SetupField) -> Callable[[str], None]:
    def check(value: str) -> None:
        try:
            field.clean(value)
        except BadValue as error:
            raise forms.ValidationError(str(error)) from None

    return check


def form_field(field: SetupField) -> forms.Field:
    """The form field for one thing a provider asks for."""
    common: dict[str, Any] = {"label": field.label, "required": field.required, "help_text": field.help}
    if field.choices:
        return forms.ChoiceField(choices=field.choices, **common)
    attrs = {"autocomplete": "new-password" if field.secret else "off", "spellcheck": "false"}
    if field.example:
        attrs["placeholder"] = field.example
    if field.lines:
        widget: forms.Widget = SecretLines(attrs={**attrs, "rows": 6}) if field.secret else forms.Textarea(attrs=attrs)
    else:
        widget = forms.PasswordInput(attrs=attrs) if field.secret else forms.TextInput(attrs=attrs)
    return forms.CharField(strip=True, max_length=20_000, widget=widget, **common)


def add_host_fields(form: forms.Form, offered: Sequence[Host], label: str) -> None:
    """A choice of login hosts, and a field for one's own address where a choice needs it."""
    choices = [(host.key, choice(host.label, host.help)) for host in offered]
    form.fields[HOST] = forms.ChoiceField(
        label=label, choices=choices, widget=forms.RadioSelect, initial=form.initial.get(HOST) or offered[0].key
    )
    typed = next((host for host in offered if not host.url), None)
    if typed is not None:
        form.fields[LOGIN_URL] = forms.CharField(
            label=f"Address of {typed.label}", required=False, max_length=300, help_text=typed.help
        )
        form.fields[LOGIN_URL].widget.attrs["data-only-with"] = f"{HOST}={typed.key}"  # forms.js


class SigningSecretForm(forms.Form):
    """The secret that a provider signs its webhooks with, as the provider shows it."""

    def __init__(self, *args: Any, field: SetupField, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret"] = form_field(field)


# --- Syncs -----------------------------------------------------------------------------------------------------------


SHARES = [100, 75, 50, 25, 10, 5, 1]
SHARE_HELP = (
    "How much of the provider's allowance this sync may use. At its share it waits for the next window and goes on by "
    "itself. Where the provider does not tell its allowance, no share can be kept."
)


def share_words(percent: int) -> str:
    return "All of it" if percent == ALL else f"{percent} %"


class StartForm(forms.Form):
    """The wizard's last step."""

    name = forms.CharField(label="Name of the sync", max_length=100)
    poll_s = forms.TypedChoiceField(label="Look for changes", coerce=int, choices=POLL_CHOICES, help_text=POLL_HELP)
    quiet_poll_s = forms.TypedChoiceField(
        label="While nothing changes",
        coerce=int,
        empty_value=None,
        required=False,
        choices=[(0, "Just as often"), *(choice for choice in POLL_CHOICES if 30 <= choice[0] <= 21_600)],
        help_text=QUIET_HELP,
    )
    quota_percent = forms.TypedChoiceField(
        label="Share of the request quota",
        coerce=int,
        required=False,
        empty_value=None,
        initial=ALL,
        choices=[(percent, share_words(percent)) for percent in SHARES],
        help_text=SHARE_HELP,
    )
    paused = forms.BooleanField(
        label="Do not read yet",
        required=False,
        help_text="To pick fields first, for example. It starts when you press Resume.",
    )


class SyncForm(StartForm):
    """A sync's name, interval, share and brake."""

    paused = None  # type: ignore[assignment]  # there are buttons for that
    on_drift = forms.ChoiceField(
        label="When fields of a collection change",
        required=False,
        choices=[(each.value, choice(str(each.label), DRIFT_NOTES[each])) for each in OnDrift],
        widget=forms.RadioSelect,
    )
    brake_percent = forms.IntegerField(
        label="Ask before marking more than this share of a collection as deleted",
        min_value=0,
        max_value=100,
        required=False,
        help_text="In percent. When a connection loses a right, records seem to vanish: then a person decides.",
    )
    brake_at_least = forms.IntegerField(
        label="But never ask about so few records", min_value=0, required=False, help_text="However large their share."
    )

    def __init__(self, *args: Any, sync: Sync, **kwargs: Any) -> None:
        names = ("name", "poll_s", "quiet_poll_s", "quota_percent", "on_drift", "brake_percent", "brake_at_least")
        super().__init__(*args, **{"initial": {name: getattr(sync, name) for name in names}, **kwargs})
        for name in ("poll_s", "quiet_poll_s"):
            field: Any = self.fields[name]
            value = getattr(sync, name)
            if value not in dict(field.choices):  # set by the API
                field.choices = [(value, f"Every {value} seconds"), *field.choices]
        if sync.quota_percent not in SHARES:
            share = self.fields["quota_percent"]
            own = (sync.quota_percent, share_words(sync.quota_percent))
            share.choices = [own, *((percent, share_words(percent)) for percent in SHARES)]  # type: ignore[attr-defined]


class SweepForm(forms.Form):
    """How often all ids of a collection are compared."""

    sweep = forms.ChoiceField(label="Compare all ids", widget=forms.RadioSelect)
    hours = forms.IntegerField(label="Hours between two comparisons", required=False, min_value=1, max_value=2_160)

    def __init__(self, *args: Any, own_h: int, chosen_h: int | None, **kwargs: Any) -> None:
        """own_h: the provider's own interval; chosen_h: what is set for this sync, None for that."""
        chosen = OWN if chosen_h is None else str(chosen_h)
        if chosen not in (OWN, *map(str, SWEEP_PRESETS_H)):
            chosen = OTHER
        initial = {"sweep": chosen, "hours": chosen_h or own_h}
        super().__init__(*args, **{"initial": initial, **kwargs})
        words = {h: f"Every {hours(h)}" for h in SWEEP_PRESETS_H} | {0: "Never", 1: "Every hour"}
        presets = [(str(h), choice(text, SWEEP_NOTES.get(h, ""))) for h, text in words.items()]
        own = (OWN, choice(f"As usual for it: every {hours(own_h)}", ""))
        self.fields["sweep"].choices = [own, *presets[:-1], (OTHER, "At another interval"), presets[-1]]  # type: ignore[attr-defined]
        self.fields["hours"].widget.attrs["data-only-with"] = f"sweep={OTHER}"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("sweep") == OTHER and not cleaned.get("hours"):
            self.add_error("hours", "Say how many hours.")
        return cleaned

    @property
    def every_h(self) -> int | None:
        """What was chosen: hours, 0 for never, None for the provider's own interval."""
        chosen = self.cleaned_data["sweep"]
        return None if chosen == OWN else int(self.cleaned_data["hours"] if chosen == OTHER else chosen)


@dataclass(frozen=True)
class FieldOption:
    """One line of the field picker."""

    path: str
    label: str
    type: str
    is_kept: bool
    is_picked: bool
    is_hashed: bool


class FieldsForm(forms.Form):
    """Which fields of a collection's records are kept, and which of them as hashes."""

    mode = forms.ChoiceField(
        label="Keep",
        widget=forms.RadioSelect,
        choices=[
            ("all", choice("All fields", "Those that are added later, too.")),
            ("some", choice("Only the fields ticked below", "Id and times always are. New fields stay away.")),
        ],
    )

    def __init__(
        self, *args: Any, row: SyncCollection, described: Sequence[Field], kept: Sequence[str], **kwargs: Any
    ) -> None:
        only, hashed = row.fields.get("only"), row.fields.get("hash") or []
        super().__init__(*args, **{"initial": {"mode": "all" if only is None else "some"}, **kwargs})
        self.picked, self.hashed = only or [], hashed
        if self.is_bound:
            sent = cast(QueryDict, self.data)
            self.picked, self.hashed = sent.getlist("only"), sent.getlist("hash")
        known = {field.accessor: field for field in described}
        seen: dict[str, str] = row.schema.get("seen", {})
        inside = {path.partition(".")[0] for path in known if "." in path}
        paths = [*known, *(path for path in seen if path not in known and path not in inside)]
        paths += [path for path in dict.fromkeys([*self.picked, *self.hashed]) if path not in paths]
        ids = {field.accessor for field in described if field.primary_key}
        self.options = [
            FieldOption(
                path,
                known[path].label if path in known else "",
                known[path].type if path in known else seen.get(path, ""),
                path in kept or path in ids,
                path in self.picked,
                path in self.hashed,
            )
            for path in paths
        ]

    @property
    def picks(self) -> dict[str, Any]:
        """What was chosen, as the service takes it."""
        only = None if self.cleaned_data["mode"] == "all" else list(dict.fromkeys([*self.picked, *self.hashed]))
        return {"only": only, "hash": self.hashed}


class RemovalForm(forms.Form):
    """What becomes of messages already on the stream."""

    removal = forms.ChoiceField(
        label="Messages already in NATS",
        choices=[(removal.value, choice(str(removal.label), REMOVAL_NOTES[removal])) for removal in Removal],
        widget=forms.RadioSelect,
        initial=Removal.LEAVE,
    )


class RecordFilter(forms.Form):
    """What to show of the records; nonsense is ignored, for it comes from the address."""

    q = forms.CharField(label="Find", required=False, max_length=200, strip=True)
    sync = forms.ChoiceField(label="Sync", required=False)
    collection = forms.ChoiceField(label="Collection", required=False)
    deleted = forms.ChoiceField(
        label="Show", required=False, choices=[("", "All records"), ("no", "Not deleted"), ("yes", "Deleted only")]
    )

    def __init__(self, *args: Any, syncs: Sequence[Sync], collections: Sequence[SyncCollection], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        titles = {row.collection_id: row.title for row in collections}
        self.fields["sync"].choices = [("", "All syncs"), *((str(sync.pk), sync.name) for sync in syncs)]  # type: ignore[attr-defined]
        self.fields["collection"].choices = [("", "All collections"), *titles.items()]  # type: ignore[attr-defined]
        self.fields["q"].widget.attrs |= {"type": "search", "placeholder": "Id or text", "data-search": ""}
