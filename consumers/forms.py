"""The form of a consumer. It gathers what services take (inputs.py, the API's shape) and never shows a secret again."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from django import forms
from django.conf import settings

from consumers.connection import join_host, split_host
from consumers.inputs import SECRETS
from consumers.models import DEFAULT_PORT, DEFAULT_PREFIX, NatsConsumer
from consumers.states import DeliverPolicy, Messages
from sequin_console.common.forms import SecretLines, choice
from sequin_console.common.problems import Problem
from syncs import queries as sync_queries

EMBEDDED, OWN = "embedded", "own"
MOST_CREDS_BYTES = 64 * 1024
SIGN_IN = {
    "creds": ("A .creds file", "What Synadia Cloud and nsc give out. The usual way."),
    "jwt": ("JWT and nkey seed", "The same two parts, pasted one by one."),
    "password": ("User and password", ""),
    "token": ("Token", ""),
    "none": ("Nothing", "The server lets everybody in."),
}
SIGN_IN_FIELDS = {
    "creds": ("creds",),
    "jwt": ("jwt", "nkey_seed"),
    "password": ("user", "password"),
    "token": ("token",),
    "none": (),
}
NEEDED = {
    "creds": "Paste the .creds file, or choose it.",
    "jwt": "Paste the JWT.",
    "nkey_seed": "Paste the nkey seed.",
    "user": "Enter the user.",
    "password": "Enter the password.",
    "token": "Enter the token.",
}
REMOVAL_NOTES = {
    Messages.LEAVE: "Readers keep what they have. It just stops changing.",
    Messages.TOMBSTONES: "Readers get one last message a record, saying that it is deleted. "
    "Choose this if they keep a copy.",
    Messages.PURGE: "The stream forgets the messages. Readers that have copied them are not told.",
}
STORED = "Stored. Leave empty to keep it."


def _attrs(only_with: str, placeholder: str = "", *, keep: bool = False) -> dict[str, str]:
    """`only_with`: shown with this choice alone (forms.js); `keep`: what was typed outlives an error (checks.js)."""
    attrs = {"autocomplete": "new-password" if keep else "off", "spellcheck": "false"}
    given = {"data-only-with": only_with, "placeholder": placeholder}
    return attrs | {name: value for name, value in given.items() if value} | ({"data-keep": ""} if keep else {})


def _text(
    label: str, *, help_text: str = "", longest: int = 200, only_with: str = "", placeholder: str = ""
) -> forms.CharField:
    widget = forms.TextInput(attrs=_attrs(only_with, placeholder))
    return forms.CharField(label=label, required=False, max_length=longest, help_text=help_text, widget=widget)


def _secret(label: str, *, help_text: str = "", only_with: str = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs=_attrs(only_with, keep=True))
    return forms.CharField(label=label, required=False, max_length=20_000, help_text=help_text, widget=widget)


def _paste(label: str, *, help_text: str = "", secret: bool = True, only_with: str = "") -> forms.CharField:
    attrs = {"rows": "5", **_attrs(only_with, keep=secret)}
    widget = SecretLines(attrs=attrs) if secret else forms.Textarea(attrs=attrs)
    return forms.CharField(label=label, required=False, max_length=200_000, help_text=help_text, widget=widget)


class ConsumerForm(forms.Form):
    """A new consumer, or (`consumer`) changes to one. `data_for_services` is what they take."""

    use_required_attribute = False  # a browser cannot ask for a field that a choice has hidden

    name = forms.CharField(label="Name", max_length=100, help_text="Only for you, to tell consumers apart.")
    sync_id = forms.ChoiceField(label="What to send", required=False)
    collection_ids = forms.MultipleChoiceField(label="Collections", required=False)
    subject_prefix = _text(
        "Subject prefix",
        help_text="Messages go to <code>prefix.sync.collection.record</code>. Change it only if this NATS account "
        "already uses it for something else.",
    )
    deliver_policy = forms.ChoiceField(
        label="Where to start",
        choices=[
            (DeliverPolicy.ALL.value, choice("From the beginning", "Everything read so far, then each change.")),
            (DeliverPolicy.NEW.value, choice("From now on", "Only what changes after you press Start.")),
        ],
        widget=forms.RadioSelect,
        initial=DeliverPolicy.ALL,
    )
    place = forms.ChoiceField(label="Which NATS server?", widget=forms.RadioSelect, required=False)
    host = _text(
        "Host", longest=2000, help_text="For example connect.ngs.global. Several are parted by commas.",
        placeholder="nats.example.com",
    )  # fmt: skip
    port = forms.IntegerField(label="Port", required=False, min_value=1, max_value=65535, initial=DEFAULT_PORT)
    tls = forms.BooleanField(
        label="Encrypt the connection (TLS)", required=False, help_text="Synadia Cloud and most hosted servers need it."
    )
    ca = _paste(
        "Own certificate authority, PEM", secret=False, help_text="Only if your server’s certificate is your own."
    )
    client_cert = _paste("Client certificate, PEM", help_text="Only if your server asks for one.")
    client_key = _paste("Its key, PEM", help_text="Without a password.")
    sign_in = forms.ChoiceField(
        label="How do we sign in?",
        choices=[(key, choice(*words)) for key, words in SIGN_IN.items()],
        widget=forms.RadioSelect,
        required=False,
    )
    creds = _paste("The .creds file", only_with="sign_in=creds")
    creds_file = forms.FileField(label="Or upload it", required=False)
    jwt = _paste("User JWT", only_with="sign_in=jwt")
    nkey_seed = _secret("nkey seed", help_text="Begins with SU.", only_with="sign_in=jwt")
    user = _text("User", only_with="sign_in=password")
    password = _secret("Password", only_with="sign_in=password")
    token = _secret("Token", only_with="sign_in=token")
    inbox_prefix = _text(
        "Inbox prefix", placeholder="_INBOX_sequin",
        help_text="Where acknowledgements come back. Empty: the first that the server allows.",
    )  # fmt: skip
    domain = _text("JetStream domain", help_text="Only for leaf nodes or hubs with a domain of their own.")
    tombstone_ttl_h = forms.IntegerField(
        label="Forget deleted records after, in hours", required=False, min_value=24, max_value=100_000,
        help_text="A deleted record leaves a last message that says so. Empty: it stays. "
        "Works where the stream allows message TTL.",
    )  # fmt: skip

    def __init__(self, *args: Any, consumer: NatsConsumer | None = None, **kwargs: Any) -> None:
        kwargs["initial"] = _initial(consumer)
        super().__init__(*args, **kwargs)
        self.consumer = consumer
        self.has_embedded = bool(settings.EMBEDDED_NATS_URL)
        names = sync_queries.sync_names()
        everything = [("", "All syncs, those made later too")]
        self._choose("sync_id", everything + [(str(pk), f"Only {name}") for pk, name in names.items()])
        titles = sync_queries.picked_collections()
        known = {key: titles.get(key, key) for key in [*titles, *self.initial["collection_ids"]]}
        self._choose("collection_ids", list(known.items()))
        places = [(EMBEDDED, choice("This console’s own NATS server", "Runs beside the console. Nothing to set up."))]
        own = (OWN, choice("Another NATS server", "Your own, or Synadia Cloud."))
        self._choose("place", [*places, own] if self.has_embedded else [own])
        if consumer is not None:
            del self.fields["sync_id"], self.fields["deliver_policy"]
            for secret in consumer.secret_names:
                name = next((field for field, column in SECRETS.items() if column == secret), "")
                if name:
                    self.fields["creds" if name == "jwt" else name].help_text = STORED

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def drop_optional_marks(self) -> None:
        """For showing: what a choice makes necessary is not called optional. Called when checking is over."""
        for name in ("place", "sign_in", "host", "port", "creds", "jwt", "nkey_seed", "user", "password", "token"):
            self.fields[name].required = True

    # --- Checking ---------------------------------------------------------------------------------------------------

    def clean_creds_file(self) -> str:
        """The uploaded file's text; for browsers without JavaScript, which otherwise reads it into the field."""
        upload = self.cleaned_data["creds_file"]
        if not upload:
            return ""
        if upload.size > MOST_CREDS_BYTES:
            raise forms.ValidationError("This file is too large for a .creds file.")
        return str(upload.read().decode("utf-8", "replace"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.is_embedded:
            return cleaned
        if not cleaned.get("host") and "host" not in self.errors:
            self.add_error("host", "Enter the host name of your NATS server.")
        if cleaned.get("creds_file"):
            cleaned["creds"] = cleaned["creds_file"]
        for name in SIGN_IN_FIELDS.get(self.way, ()):
            if not cleaned.get(name) and not self._is_stored(name) and name not in self.errors:
                self.add_error(name, NEEDED[name])
        return cleaned

    @property
    def is_embedded(self) -> bool:
        chosen = self.cleaned_data.get("place") or (EMBEDDED if self.has_embedded else OWN)
        return self.has_embedded and chosen == EMBEDDED

    @property
    def way(self) -> str:
        return self.cleaned_data.get("sign_in") or "none"

    def _is_stored(self, name: str) -> bool:
        column = "jwt" if name == "creds" else SECRETS.get(name, name)
        return self.consumer is not None and bool(self.consumer.secrets.get(column))

    # --- What services take -----------------------------------------------------------------------------------------

    def data_for_services(self) -> dict[str, Any]:
        """The API's shape. A way of signing in that was not chosen is emptied; one left empty keeps what is stored."""
        cleaned = self.cleaned_data
        data: dict[str, Any] = {
            "name": cleaned["name"],
            "collection_ids": cleaned["collection_ids"] or None,
            "subject_prefix": cleaned["subject_prefix"] or DEFAULT_PREFIX,
            "tombstone_ttl_h": cleaned["tombstone_ttl_h"],
            "nats": self._embedded() if self.is_embedded else self._own(),
        }
        if self.consumer is None:
            data["sync_id"] = UUID(cleaned["sync_id"]) if cleaned.get("sync_id") else None
            data["deliver_policy"] = cleaned["deliver_policy"]
        return data

    def _embedded(self) -> dict[str, Any]:
        parts = urlsplit(settings.EMBEDDED_NATS_URL)
        nats: dict[str, Any] = dict.fromkeys(SECRETS, "")
        nats |= {"host": join_host(parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT), "tls": False, "ca": ""}
        nats |= {"user": unquote(parts.username or ""), "password": unquote(parts.password or "")}
        return nats | {"inbox_prefix": self.cleaned_data["inbox_prefix"], "domain": self.cleaned_data["domain"]}

    def _own(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        nats = {name: cleaned[name] for name in ("host", "tls", "ca", "inbox_prefix", "domain")}
        nats["port"] = cleaned["port"] or DEFAULT_PORT
        wanted = SIGN_IN_FIELDS[self.way]
        for name in ("jwt", "nkey_seed", "user", "password", "token"):
            if name not in wanted and not (self.way == "creds" and name in SIGN_IN_FIELDS["jwt"]):
                nats[name] = ""
        for name in (*wanted, "client_cert", "client_key"):
            if cleaned.get(name):
                nats[name] = cleaned[name]
        return nats

    def show(self, problem: Problem) -> Problem:
        """The problem with its fields named as they stand on this form."""
        moved = {"nats.jwt": "nats.creds", "nats.nkey_seed": "nats.creds"} if self.way == "creds" else {}
        if self.is_embedded:
            moved |= {"nats.host": "place", "nats.port": "place"}
        elif self.way == "none":
            moved |= {"nats.jwt": "sign_in"}
        problem.fields = {moved.get(name, name): errors for name, errors in problem.fields.items()}
        return problem


class RemovalForm(forms.Form):
    """What becomes of messages already on the stream."""

    messages = forms.ChoiceField(
        label="Messages already in NATS",
        choices=[(each.value, choice(str(each.label), REMOVAL_NOTES[each])) for each in Messages],
        widget=forms.RadioSelect,
        initial=Messages.LEAVE,
    )


def _initial(consumer: NatsConsumer | None) -> dict[str, Any]:
    if consumer is None:
        place = EMBEDDED if settings.EMBEDDED_NATS_URL else OWN
        return {
            "subject_prefix": DEFAULT_PREFIX,
            "place": place,
            "sign_in": "creds",
            "collection_ids": [],
            "sync_id": "",
        }
    hosts, port = _hosts(consumer)
    return {
        "name": consumer.name,
        "collection_ids": consumer.collection_ids or [],
        "subject_prefix": consumer.subject_prefix,
        "place": EMBEDDED if _is_embedded(consumer) else OWN,
        "host": hosts,
        "port": port,
        "tls": consumer.tls,
        "ca": consumer.ca_pem,
        "sign_in": _way_of(consumer.secrets),
        "inbox_prefix": consumer.inbox_prefix,
        "domain": consumer.jetstream_domain,
        "tombstone_ttl_h": consumer.tombstone_ttl_h,
    }


def _hosts(consumer: NatsConsumer) -> tuple[str, int]:
    """Host names as one text, and the port; ports that differ stay beside their hosts."""
    pairs = [split_host(host) for host in consumer.hosts]
    ports = {port for _, port in pairs}
    if len(ports) == 1:
        return ", ".join(f"[{host}]" if ":" in host else host for host, _ in pairs), ports.pop()
    return ", ".join(consumer.hosts), consumer.port


def _way_of(secrets: Mapping[str, str]) -> str:
    if secrets.get("jwt"):
        return "creds"
    return "password" if secrets.get("user") else "token" if secrets.get("token") else "none"


def _is_embedded(consumer: NatsConsumer) -> bool:
    if not settings.EMBEDDED_NATS_URL:
        return False
    parts = urlsplit(settings.EMBEDDED_NATS_URL)
    return consumer.hosts == [join_host(parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT)]
