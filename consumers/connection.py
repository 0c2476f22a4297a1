"""How to reach a NATS server: the settings, and the ways in which it can fail, each told apart. No network here."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DEFAULT_PORT = 4222
INBOXES = ("_INBOX_sequin", "_INBOX")  # tried in this order where none is set
_NO_ROOM = "The NATS server or account has no storage left: make room, or raise its limits. Nothing is lost."
_NO_LEADER = "The cluster is choosing a leader, or has lost too many servers. We try again by ourselves."
REMEDIES = {  # by NATS's err_code: https://github.com/nats-io/nats-server/blob/main/server/errors.json
    10002: _NO_ROOM,
    10023: _NO_ROOM,
    10028: _NO_ROOM,
    10047: _NO_ROOM,
    10008: _NO_LEADER,
    10009: _NO_LEADER,
    10118: _NO_LEADER,
    10054: "Raise the stream's max_msg_size. Larger records are set aside, and sent by themselves when they fit.",
    10060: "Two streams seem to take these subjects, or the stream was renamed. Run the checks.",
    10077: "The stream is full: raise its max_bytes or max_msgs, or let it discard old messages. Nothing is lost.",
    10109: "A sealed stream cannot be opened again: delete it and create it again, or create another one.",
    10174: "Atomic batches were switched off on this stream. We go on without them.",
}


@dataclass(frozen=True)
class NatsSettings:
    """All that decides a connection; equal settings may share one. Secrets never show in its repr.

    hosts   "host:port", tried in order
    domain  JetStream domain (`hub`) or whole API prefix (`$JS.hub.API`)
    inbox   inbox prefix; empty: the first of INBOXES that the server allows
    """

    hosts: tuple[str, ...]
    name: str = "sequin-console"
    tls: bool = False
    ca_pem: str = ""
    inbox: str = ""
    domain: str = ""
    jwt: str = field(default="", repr=False)
    nkey_seed: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_cert_pem: str = field(default="", repr=False)
    client_key_pem: str = field(default="", repr=False)

    @property
    def api(self) -> str:
        """The JetStream API's subject prefix."""
        if not self.domain:
            return "$JS.API"
        return self.domain if self.domain.startswith("$") or "." in self.domain else f"$JS.{self.domain}.API"

    @property
    def credential_field(self) -> str:
        """Which input a refused sign-in is about."""
        if self.jwt or self.nkey_seed:
            return "jwt"
        return "password" if self.user else "token" if self.token else "jwt"


class LinkError(Exception):
    """Something between us and the stream failed: what, and what to do. Never contains a secret.

    check  the preflight check it belongs to
    kind   `broker`, `credentials`, `permission` or `conflict`, as in Problem
    """

    check = "connect"
    kind = "broker"

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message, self.next_step = message, next_step


class CannotResolve(LinkError):
    check = "resolve"


class CannotConnect(LinkError):
    """Refused, unreachable, or no NATS server at the other end."""


class TlsFailed(LinkError):
    check = "tls"


class SignInRefused(LinkError):
    check = "authenticate"
    kind = "credentials"


class Denied(LinkError):
    """The server does not let this user publish or subscribe to a subject."""

    kind = "permission"

    def __init__(self, action: str, subject: str) -> None:
        super().__init__(
            f"The NATS user may not {action} {subject}.",
            "Give the user the rights listed under Checks, then run the checks again.",
        )
        self.action, self.subject = action, subject


class NoAnswer(LinkError):
    """Nothing came back in time: what was sent may or may not have been stored."""


class LinkLost(LinkError):
    """The connection ended: what was under way may or may not have been stored."""


class NobodyListens(LinkError):
    """No stream takes this subject, or JetStream is off (NATS: no responders)."""

    check = "stream"


class Refused(LinkError):
    """The stream or JetStream API said no. `code` is NATS's err_code, such as 10071."""

    check = "publish"

    def __init__(self, code: int, description: str, next_step: str = "") -> None:
        super().__init__(f"NATS said: {description} ({code}).", next_step or REMEDIES.get(code, ""))
        self.code, self.description = code, description


class BadAck(LinkError):
    """Something answered, but not our stream confirming this very batch or message."""

    check = "ack"


class Conflict(LinkError):
    """Somebody else writes where only this consumer should."""

    kind = "conflict"
    check = "publish"


def split_host(text: str, port: int = DEFAULT_PORT) -> tuple[str, int]:
    """`nats://host:4222/`, `host:4222`, `host` or `[::1]:4222` as (host, port). Raises ValueError with a sentence."""
    bare = text.strip().split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]
    host, found_port = bare, ""
    if bare.startswith("["):
        host, _, rest = bare[1:].partition("]")
        found_port = rest.removeprefix(":")
    elif bare.count(":") == 1:
        host, found_port = bare.split(":")
    if not host or any(letter.isspace() for letter in host):
        raise ValueError(f"“{text}” is not a host name.")
    if found_port and not (found_port.isdigit() and 0 < int(found_port) < 65536):
        raise ValueError(f"“{found_port}” is not a port: a number from 1 to 65535.")
    return host, int(found_port or port)


def join_host(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tls_context(settings: NatsSettings) -> ssl.SSLContext:
    """Verifying TLS with the system's authorities or the pasted one. Raises TlsFailed for a PEM that does not load."""
    try:
        context = ssl.create_default_context(cadata=settings.ca_pem or None)
    except (ssl.SSLError, ValueError):
        raise TlsFailed("The certificate authority is not a PEM certificate.", "Paste the whole file.") from None
    if settings.client_cert_pem:
        try:
            with _files(settings.client_cert_pem, settings.client_key_pem) as (cert, key):
                context.load_cert_chain(cert, key, password=_no_password)
        except (ssl.SSLError, ValueError, TypeError):
            raise TlsFailed(
                "The client certificate and its key do not load.",
                "Paste both as PEM, the key without a password, and check that they belong together.",
            ) from None
    return context


def _no_password() -> str:
    raise ValueError("The key is locked by a password.")  # OpenSSL would ask on the terminal and wait


@contextmanager
def _files(*texts: str) -> Iterator[list[str]]:
    """Texts as files that only we can read, for Python's ssl takes a client certificate from files alone."""
    paths: list[str] = []
    try:
        for text in texts:
            descriptor, path = tempfile.mkstemp(prefix="sequin-")  # mode 0600
            paths.append(path)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
        yield paths
    finally:
        for path in paths:
            os.unlink(path)
