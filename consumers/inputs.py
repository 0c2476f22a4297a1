"""What people and programs send for a consumer, as columns. Takes the API's shape, forms build the same:

    {"name", "sync_id", "collection_ids", "subject_prefix", "deliver_policy", "tombstone_ttl_h", "metadata",
     "nats": {"host", "port", "hosts", "tls", "creds", "jwt", "nkey_seed", "user", "password", "token",
              "ca", "client_cert", "client_key", "inbox_prefix", "domain"}}

Every error names its field, dotted as in the API. In an update what is absent stays, and a masked secret stays too.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from consumers import credentials
from consumers.connection import DEFAULT_PORT, NatsSettings, TlsFailed, join_host, split_host, tls_context
from consumers.models import DEFAULT_PREFIX, NatsConsumer
from consumers.states import DeliverPolicy
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem

SECRETS = {
    "jwt": "jwt",
    "nkey_seed": "nkey_seed",
    "user": "user",
    "password": "password",
    "token": "token",
    "client_cert": "client_cert_pem",
    "client_key": "client_key_pem",
}
_PREFIX = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")
_MASKED = re.compile(r"[*•]{3,}")


class Errors:
    """Collects what is wrong, field by field, and raises it all at once."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}

    def add(self, field: str, message: str) -> None:
        self.fields.setdefault(field, []).append(message)

    def raise_any(self) -> None:
        if self.fields:
            first = next(iter(self.fields.values()))[0]
            raise Problem(first, next_step="Correct the marked fields.", fields=self.fields)


def columns(data: Mapping[str, Any], old: NatsConsumer | None, *, now: datetime) -> dict[str, Any]:
    """Column values of a new (`old` None) or changed consumer. Raises Problem naming each wrong field."""
    errors = Errors()
    nats = data.get("nats") or {}
    values = {**_general(data, old, errors), **_place(nats, old, errors)}
    values["secrets"] = _secrets(nats, old, errors)
    values["jwt_facts"] = _facts(values["secrets"], errors, now)
    _check_inbox(values, errors)
    errors.raise_any()
    _check_tls(values)
    return values


def settings_of(values: Mapping[str, Any]) -> NatsSettings:
    """The connection that such columns describe: equal columns, equal settings, for nobody's id is in its name."""
    names = ("hosts", "tls", "ca_pem", "secrets", "inbox_prefix", "jetstream_domain")
    return NatsConsumer(id=UUID(int=0), **{name: values[name] for name in names}).nats_settings()


def _general(data: Mapping[str, Any], old: NatsConsumer | None, errors: Errors) -> dict[str, Any]:
    def given(name: str, default: Any) -> Any:
        return data[name] if name in data else getattr(old, name) if old is not None else default

    name = str(given("name", "") or "").strip()
    if not name or len(name) > 100:
        errors.add("name", "Enter a name of at most 100 characters.")
    prefix = str(given("subject_prefix", DEFAULT_PREFIX) or DEFAULT_PREFIX).strip().removesuffix(".>").rstrip(".")
    if not _PREFIX.fullmatch(prefix) or len(prefix) > 200:
        errors.add("subject_prefix", "Use words parted by dots, without spaces, * or >, such as sequin-records.")
    elif prefix.startswith(("$", "_INBOX")):
        errors.add("subject_prefix", "Subjects that begin with $ or _INBOX belong to NATS itself.")
    policy = given("deliver_policy", DeliverPolicy.ALL) or DeliverPolicy.ALL
    if policy not in DeliverPolicy.values:
        errors.add("deliver_policy", "Choose all (from the beginning) or new (from now on).")
    collections = given("collection_ids", None) or None
    if collections is not None and not all(isinstance(item, str) and item for item in collections):
        errors.add("collection_ids", "Give a list of collection ids, such as salesforce:contact.")
    ttl = given("tombstone_ttl_h", None) or None
    if ttl is not None and not (isinstance(ttl, int) and 24 <= ttl <= 100_000):
        errors.add("tombstone_ttl_h", "A tombstone stays for at least 24 hours, or for ever.")
    metadata = given("metadata", {}) or {}
    if not isinstance(metadata, Mapping):
        errors.add("metadata", "Metadata is a JSON object.")
    return {
        "name": name,
        "subject_prefix": prefix,
        "deliver_policy": policy,
        "collection_ids": sorted(set(collections)) if collections else None,
        "tombstone_ttl_h": ttl,
        "metadata": metadata,
    }


def _place(nats: Mapping[str, Any], old: NatsConsumer | None, errors: Errors) -> dict[str, Any]:
    hosts = nats.get("hosts") or nats.get("host") or (old.hosts if old is not None else [])
    hosts = [part for part in re.split(r"[\s,]+", hosts) if part] if isinstance(hosts, str) else list(hosts)
    port = nats.get("port") or (old.port if old is not None else DEFAULT_PORT)
    if not (str(port).isdigit() and 0 < int(port) < 65536):
        errors.add("nats.port", "A port is a number from 1 to 65535.")
        port = DEFAULT_PORT
    joined = []
    for host in hosts:
        try:
            joined.append(join_host(*split_host(str(host), int(port))))
        except ValueError as error:
            errors.add("nats.host", str(error))
    if not hosts:
        errors.add("nats.host", "Enter the host name of your NATS server.")
    wants_tls = any(str(host).startswith("tls://") for host in hosts)
    return {
        "hosts": joined,
        "port": int(port),
        "tls": bool(nats.get("tls", old.tls if old is not None else False)) or wants_tls,
        "ca_pem": _text(nats, "ca", old.ca_pem if old is not None else ""),
        "inbox_prefix": _text(nats, "inbox_prefix", old.inbox_prefix if old is not None else "").rstrip(".>*"),
        "jetstream_domain": _text(nats, "domain", old.jetstream_domain if old is not None else ""),
    }


def _text(nats: Mapping[str, Any], name: str, default: str) -> str:
    return str(nats[name] or "").strip() if name in nats else default


def _secrets(nats: Mapping[str, Any], old: NatsConsumer | None, errors: Errors) -> Secrets:
    secrets = dict(old.secrets) if old is not None else {}
    for name, column in SECRETS.items():
        value = str(nats.get(name) or "").strip()
        if name in nats and not _MASKED.fullmatch(value):
            secrets[column] = value
    creds = str(nats.get("creds") or "")
    if creds.strip() and not _MASKED.fullmatch(creds.strip()):
        try:
            secrets["jwt"], secrets["nkey_seed"] = credentials.parse_creds(creds)
        except credentials.BadCredentials as error:
            errors.add("nats.creds", error.message)
    elif secrets.get("jwt") and "BEGIN" in secrets["jwt"]:  # a whole .creds file pasted where the JWT goes
        try:
            secrets["jwt"], secrets["nkey_seed"] = credentials.parse_creds(secrets["jwt"])
        except credentials.BadCredentials as error:
            errors.add("nats.jwt", error.message)
    return Secrets({name: value for name, value in secrets.items() if value})


def _facts(secrets: Mapping[str, str], errors: Errors, now: datetime) -> dict[str, Any]:
    jwt, seed = secrets.get("jwt", ""), secrets.get("nkey_seed", "")
    if seed and not jwt:
        errors.add("nats.jwt", "The JWT that belongs to this nkey seed is missing.")
    if not jwt or errors.fields.keys() & {"nats.creds", "nats.jwt"}:
        return {}
    try:
        return credentials.check_pair(jwt, seed, now=now).as_dict()
    except credentials.BadCredentials as error:
        errors.add(f"nats.{error.part}", error.message)
        return {}


def _check_inbox(values: Mapping[str, Any], errors: Errors) -> None:
    inbox, prefix = values["inbox_prefix"], values["subject_prefix"]
    if inbox and not _PREFIX.fullmatch(inbox):
        errors.add("nats.inbox_prefix", "Use words parted by dots, such as _INBOX_sequin.")
    elif inbox == prefix or inbox.startswith(f"{prefix}."):
        errors.add(
            "nats.inbox_prefix",
            f"An inbox inside {prefix} would store every acknowledgement as a record. Use _INBOX_sequin.",
        )


def _check_tls(values: dict[str, Any]) -> None:
    secrets = values["secrets"]
    if bool(secrets.get("client_cert_pem")) != bool(secrets.get("client_key_pem")):
        name = "client_key" if secrets.get("client_cert_pem") else "client_cert"
        raise Problem(
            "A client certificate needs its key, and the key its certificate.",
            fields={f"nats.{name}": ["Paste the other half, too."]},
        )
    if secrets.get("client_cert_pem") or values["ca_pem"]:
        values["tls"] = True
        try:
            tls_context(settings_of(values))
        except TlsFailed as error:
            field = "nats.client_cert" if "client" in error.message else "nats.ca"
            raise Problem(error.message, next_step=error.next_step, fields={field: [error.message]}) from None
