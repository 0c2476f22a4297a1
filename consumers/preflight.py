"""The checks before and while a consumer runs, each with cause and remedy, one after the other.

Later checks stay "not tried" while an earlier one failed, so that only the first cause is red. Nothing here changes the
stream: the publish probe names an expected stream that does not exist (`Nats-Expected-Stream`), so the server must
answer with error 10060 and store nothing. That answer proves both the right to publish and the way back of
acknowledgements. Only a plain subscriber of the prefix (not a reader of the stream) could see the probe pass.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from consumers import jetstream, permissions, publishing, reaching, streams
from consumers.connection import (
    INBOXES,
    CannotResolve,
    Denied,
    LinkError,
    NatsSettings,
    NoAnswer,
    NobodyListens,
    Refused,
    split_host,
)
from consumers.jetstream import Link
from consumers.message import subject_filter, subject_of
from consumers.states import Promise
from consumers.streams import Stream

OK, FAILED, WARNING, NOT_TRIED = "ok", "failed", "warning", "not_tried"
WRONG_STREAM = 10060
EXPIRY_WARNING = timedelta(days=14)
PROBE_STREAM = "SEQUIN-PREFLIGHT-NO-SUCH-STREAM"

LABELS = {
    "resolve": "Find the host",
    "connect": "Connect",
    "tls": "Encrypt (TLS)",
    "authenticate": "Sign in",
    "stream": "Find the stream",
    "limits": "Stream settings fit",
    "publish": "Publish",
    "ack": "Receive acknowledgements",
    "read": "Read the last message",
}


@dataclass(frozen=True)
class Check:
    """One check's result.

    ok        True, False, or None while not tried; a warning is ok
    detail    what was found, or the cause
    remedy    what to do; empty when nothing is
    commands  paste-ready blocks: [{"label", "text"}]
    action    what a button can do about it: `create_stream`, `allow_atomic` or empty
    """

    key: str
    state: str
    detail: str = ""
    remedy: str = ""
    commands: list[dict[str, str]] = field(default_factory=list)
    action: str = ""

    @property
    def label(self) -> str:
        return LABELS[self.key]

    @property
    def ok(self) -> bool | None:
        return None if self.state == NOT_TRIED else self.state != FAILED

    def as_dict(self) -> dict[str, Any]:
        """As stored, shown and answered; `what` and `next_step` are the names the page's fragment knows."""
        return {**asdict(self), "label": self.label, "ok": self.ok, "what": self.detail, "next_step": self.remedy}


class Preflight:
    """One pass over all checks. `async for check in preflight.run()`; what was learnt stays on the object."""

    def __init__(self, settings: NatsSettings, prefix: str, *, sync_id: UUID | None = None, facts: Any = None) -> None:
        self.settings, self.prefix, self.facts = settings, prefix, dict(facts or {})
        self.filter = subject_filter(prefix, sync_id)
        self.probe = subject_of(prefix, sync_id or UUID(int=0), "preflight", uuid4().hex)
        self.stream: Stream | None = None
        self.inbox = ""
        self.max_payload = 0
        self.checks: list[Check] = []
        self._link: Link | None = None

    @property
    def failed(self) -> Check | None:
        return next((check for check in self.checks if check.state == FAILED), None)

    @property
    def promise(self) -> str:
        if self.stream is None:
            return Promise.UNKNOWN
        return Promise.FENCED if self.stream.is_atomic else Promise.BASIC

    async def run(self) -> AsyncIterator[Check]:
        """All checks in order, each as soon as its result is there."""
        steps: list[tuple[str, Callable[[], Awaitable[Check]]]] = [
            ("resolve", self._resolve),
            ("connect", self._connect),
            ("tls", self._tls),
            ("authenticate", self._authenticate),
            ("stream", self._find_stream),
            ("limits", self._limits),
            ("publish", self._publish),
            ("ack", self._ack),
            ("read", self._read),
        ]
        try:
            for key, step in steps:
                check = Check(key, NOT_TRIED, "Not tried yet.") if self.failed else await self._one(key, step)
                self.checks.append(check)
                yield check
        finally:
            if self._link is not None:
                await self._link.close()

    async def _one(self, key: str, step: Callable[[], Awaitable[Check]]) -> Check:
        try:
            return await step()
        except Denied as error:
            return Check(key, FAILED, error.message, "Give the user these rights.", self._blocks())
        except LinkError as error:
            return Check(key, FAILED, error.message, error.next_step)

    def _blocks(self) -> list[dict[str, str]]:
        name = self.stream.name if self.stream else ""
        return permissions.as_commands(self.prefix, name, api=self.settings.api, inbox=self.settings.inbox)

    # --- To the server ----------------------------------------------------------------------------------------------

    async def _resolve(self) -> Check:
        found, problems = [], []
        for text in self.settings.hosts:
            host, port = split_host(text)
            try:
                found.append(f"{host} is {', '.join(await reaching.resolve(host, port))}")
            except CannotResolve as error:
                problems.append(error)
        if not found:
            raise problems[0] if problems else CannotResolve("No host is set.", "Enter the host of your NATS server.")
        if problems:
            return Check("resolve", WARNING, "; ".join([*found, problems[0].message]), problems[0].next_step)
        return Check("resolve", OK, "; ".join(found))

    async def _connect(self) -> Check:
        """Connect and sign in at once; a failure further on is kept for the check it belongs to."""
        try:
            self._link = await jetstream.open_link(self.settings)
        except LinkError as error:
            if error.check in {"resolve", "connect"}:
                raise
            self._late_error = error
            return Check("connect", OK, "The server answers.")
        version = ".".join(map(str, self._link.version))
        return Check("connect", OK, f"nats-server {version} at {self._link.host}")

    _late_error: LinkError | None = None

    async def _tls(self) -> Check:
        error = self._late_error
        if error is not None and error.check == "tls":
            raise error
        if self.settings.tls:
            own = " by your own authority" if self.settings.ca_pem else ""
            return Check("tls", OK, f"Encrypted; the server's certificate is verified{own}.")
        if self._link is not None and self._link.info.get("tls_required"):
            return Check("tls", OK, "Encrypted, because the server asks for it.")
        host = split_host(self.settings.hosts[0])[0]
        if host in {"localhost", "127.0.0.1", "::1"}:
            return Check("tls", OK, "Not encrypted: the server is on this machine.")
        return Check("tls", WARNING, "Not encrypted: others on the way can read along.", "Switch TLS on where you can.")

    async def _authenticate(self) -> Check:
        if self._late_error is not None:
            raise self._late_error
        who = self.settings.user or self.facts.get("user_name") or ("by token" if self.settings.token else "")
        account = self.facts.get("account", "")
        detail = f"Signed in as {who}" if who else "Signed in"
        detail += f", account {account[:12]}…." if account else "."
        expires = self.facts.get("expires_at")
        if expires and datetime.fromisoformat(expires) < datetime.now(UTC) + EXPIRY_WARNING:
            return Check(
                "authenticate",
                WARNING,
                f"{detail} The JWT expires on {expires[:10]}.",
                "Create and paste new credentials.",
            )
        return Check("authenticate", OK, detail)

    # --- The stream -------------------------------------------------------------------------------------------------

    @property
    def _open(self) -> Link:
        assert self._link is not None  # every check that needs it comes after `connect`
        return self._link

    async def _find_stream(self) -> Check:
        self.inbox, self.max_payload = self._open.inbox, self._open.max_payload
        if not self.inbox:
            return Check("stream", NOT_TRIED, "Not tried: no answer from NATS can reach us, see further down.")
        try:
            self.stream = await streams.find(self._open, self.filter)
        except NobodyListens as error:
            if error.message.startswith("JetStream"):
                raise
            line = {"label": "Create it with the nats command", "text": permissions.stream_add(self.prefix)}
            return Check("stream", FAILED, error.message, "Create the stream.", [line], "create_stream")
        size = f"{self.stream.messages:,} messages"
        return Check("stream", OK, f"{self.stream.name} takes {', '.join(self.stream.subjects)} and holds {size}.")

    async def _limits(self) -> Check:
        if self.stream is None:
            return Check("limits", NOT_TRIED, "Not tried: the stream was not looked up.")
        wrong, notes = unfit(self.stream), notices(self.stream)
        if wrong:
            return Check("limits", FAILED, " ".join(wrong), "Change the stream's settings, or use another stream.")
        if not self.stream.is_atomic:
            can = self._open.version >= streams.ATOMIC_VERSION
            notes.append(
                "Atomic batches are off, so a record may be stored twice after a crash (never in disorder)."
                if can
                else "This server is older than 2.12: a record may be stored twice after a crash (never in disorder)."
            )
            remedy = "Allow atomic batches on this stream." if can else "Update nats-server to 2.12 or later."
            line = {"label": "With the nats command", "text": f"nats stream edit {self.stream.name} --allow-batch"}
            return Check(
                "limits", WARNING, " ".join(notes), remedy, [line] if can else [], "allow_atomic" if can else ""
            )
        if notes:
            return Check("limits", WARNING, " ".join(notes), "Change them unless you want it so.")
        return Check("limits", OK, f"One message per subject, no age limit, atomic batches; {durability(self.stream)}")

    async def _publish(self) -> Check:
        headers = f"Nats-Expected-Stream: {PROBE_STREAM}\r\n".encode()
        try:
            if not self.inbox:
                await self._publish_unheard(headers)
            else:
                raw = await self._open.request(self.probe, b"{}", headers=headers)
                publishing.confirm(publishing.read_ack(raw), stream=PROBE_STREAM)
        except Refused as error:
            if error.code != WRONG_STREAM:
                raise
        except NoAnswer:
            self._ack_error = "The stream did not answer a publish."
        return Check("publish", OK, f"The user may publish to {self.prefix}.>; the probe was not stored.")

    async def _publish_unheard(self, headers: bytes) -> None:
        """Without an inbox only a refusal can be heard. Raises Denied."""
        await self._open.send(self.probe, b"{}", headers=headers)
        await self._open.round_trip()
        if self._open.denied_publishes:
            raise Denied("publish to", f"{self.prefix}.>")

    _ack_error = ""

    async def _ack(self) -> Check:
        if not self.inbox:
            return self._deaf()
        if self._ack_error:
            return Check(
                "ack", FAILED, self._ack_error, "Check that the stream is not set to no_ack, and has a leader."
            )
        return Check("ack", OK, f"Acknowledgements arrive at {self.inbox}.>")

    def _deaf(self) -> Check:
        """The user of the well-known guide: may publish and subscribe the prefix, and hears no answer to anything."""
        tried = (self.settings.inbox,) if self.settings.inbox else INBOXES
        names = " or ".join(f"{inbox}.>" for inbox in tried)
        detail = (
            f"The NATS user may publish to {self.prefix}.>, but may not subscribe to {names}: the stream's "
            "acknowledgements cannot reach us. A message might be stored and we would never know, so nothing is sent."
        )
        remedy = (
            "Give the user the rights below. The inbox must lie outside the prefix, "
            "or every acknowledgement would be stored as a record."
        )
        return Check("ack", FAILED, detail, remedy, self._blocks())

    async def _read(self) -> Check:
        assert self.stream is not None
        last = await streams.last_message(self._open, self.stream.name, self.filter)
        if last is None:
            return Check("read", OK, "No record is on the stream yet.")
        return Check("read", OK, f"The newest record is message {last.seq:,} of the stream.")


def unfit(stream: Stream) -> list[str]:
    """Why records cannot be delivered to this stream, in sentences."""
    config = stream.config
    found = []
    if config.get("sealed"):
        found.append("The stream is sealed: it takes no more messages.")
    if config.get("no_ack"):
        found.append("The stream does not acknowledge (no_ack), so delivery can never be confirmed.")
    if config.get("mirror"):
        found.append("The stream is a mirror: it takes messages only from its origin.")
    if config.get("discard") == "new" and config.get("discard_new_per_subject"):
        found.append("The stream refuses a second message per subject, so changes would never arrive.")
    if config.get("subject_transform"):
        found.append("The stream renames subjects, so what is stored cannot be found again.")
    if not stream.has_leader:
        found.append("The stream has no leader at the moment.")
    return found


def notices(stream: Stream) -> list[str]:
    """What works, but rarely as wanted, in sentences."""
    config = stream.config
    found = []
    if config.get("max_msgs_per_subject") != 1:
        found.append("Old versions of records are kept (max_msgs_per_subject is not 1), so readers see them, too.")
    if config.get("max_age"):
        found.append(f"Messages vanish after {int(config['max_age']) // 1_000_000_000:,} seconds (max_age).")
    for limit in ("max_msgs", "max_bytes"):
        if int(config.get(limit) or -1) > 0:
            found.append(
                f"The stream is limited ({limit} {int(config[limit]):,}); when full, records are lost or refused."
            )
    if config.get("discard") == "new":
        found.append("A full stream refuses new messages (discard new).")
    if config.get("retention") not in (None, "limits"):
        found.append(f"Readers remove messages from this stream (retention {config['retention']}).")
    return found


def durability(stream: Stream) -> str:
    """How safe an acknowledged message is (DESIGN.md: acknowledged is not yet on disk)."""
    if stream.config.get("storage") == "memory":
        return "kept in memory: a restart of the server empties it, and everything is then sent again."
    if stream.replicas > 1:
        return f"{stream.replicas} replicas."
    return "one copy, written to disk within two minutes of the acknowledgement; replay heals a loss."
