"""A real nats-server for tests: free ports of 127.0.0.1, a store of its own, stopped by its own process.

    with nats_server() as server:                       # plain, JetStream on
        server.url, server.host, server.port
        server.kill(); server.start()                   # SIGKILL, and again on the same port and store
        server.pause(); server.resume()             # SIGSTOP, SIGCONT: it lives and says nothing
        server.config["max_payload"] = 9; server.reload()   # or stop and start

    with nats_server(binary=OLD_BINARY) as server: …    # Debian's older one, which knows no atomic batches

    with nats_server(user="ada", password="pw") as server: …
    with nats_server(token="t0k3n") as server: …
    with nats_server(users=[NatsUser("guide", "pw", publish=["sequin-records.>"], subscribe=["sequin-records.>"])]): …
    with nats_server(tls=make_tls(), verify_clients=True) as server: …      # server.tls.ca_pem, .client_cert_pem …
    with jwt_server() as server:                        # operator mode, JWTs made here, memory resolver
        creds = server.make_user(publish=[…], subscribe=[…])   # creds.jwt, creds.seed, creds.text

    `await server.ask("STREAM.CREATE.S", {...})` speaks to JetStream as an all-mighty user, past the code under test;
    `await server.publish(subject, data)`, `await server.messages("S")` likewise.

Nothing here is imported from the product, so that it cannot share its mistakes.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import nats
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from tests.children import free_port, tie_to_us

# The one that came with our packages: a machine may have an older one of its own on the path.
_OURS = shutil.which("nats-server", path=str(Path(sys.executable).parent))
BINARY = _OURS or shutil.which("nats-server") or "nats-server"
OLD_BINARY = "/usr/sbin/nats-server"  # Debian's package: 2.9
READY_S = 10.0


@dataclass(frozen=True)
class NatsUser:
    """A user with its rights; None allows everything."""

    name: str
    password: str
    publish: Sequence[str] | None = None
    subscribe: Sequence[str] | None = None

    def as_config(self) -> dict[str, Any]:
        permissions = {}
        if self.publish is not None:
            permissions["publish"] = {"allow": list(self.publish)}
        if self.subscribe is not None:
            permissions["subscribe"] = {"allow": list(self.subscribe)}
        return {"user": self.name, "password": self.password} | ({"permissions": permissions} if permissions else {})


ADMIN = NatsUser("test-admin", "test-admin")


@dataclass
class NatsServer:
    """One server process; `config` is written as JSON, which nats-server reads as well as its own format."""

    folder: Path
    config: dict[str, Any]
    port: int
    tls: "Tls | None" = None
    admin: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    binary: str = BINARY

    host = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def start(self) -> None:
        """Start (again) on the same port and store; returns when it takes connections."""
        path = self.write_config()
        with (self.folder / "server.log").open("ab") as log:
            argv = [self.binary, "-c", str(path)]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, preexec_fn=tie_to_us())
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"nats-server ended: {self.log[-2000:]}")
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 0.2) as probe:
                if probe.recv(5):
                    return
            time.sleep(0.03)
        raise RuntimeError(f"nats-server did not start: {self.log[-2000:]}")

    def write_config(self) -> Path:
        path = self.folder / "server.json"
        path.write_text(json.dumps(self.config))
        return path

    def reload(self) -> None:
        """Take over a changed `config` without a restart; returns when the server says so."""
        assert self.process is not None
        self.write_config()
        before = self.log.count("Reloaded server configuration")
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY_S
        while self.log.count("Reloaded server configuration") == before:
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.02)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, as in a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.send_signal(signal.SIGCONT)  # it may be paused
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    # --- Past the code under test ----------------------------------------------------------------------------------

    async def connect(self, **options: Any) -> Any:
        """An all-mighty nats-py connection; close it."""
        return await nats.connect(self.url, **{"connect_timeout": 5, **self.admin, **options})

    async def ask(self, verb: str, body: Any = None) -> dict[str, Any]:
        """One JetStream API request."""
        client = await self.connect()
        try:
            payload = json.dumps(body).encode() if body is not None else b""
            return json.loads((await client.request(f"$JS.API.{verb}", payload, timeout=10)).data)
        finally:
            await client.close()

    async def make_stream(self, name: str = "SEQUIN-RECORDS", prefix: str = "sequin-records", **config: Any) -> None:
        """As recommended: one message a subject, atomic batches; `config` overrules."""
        body = {
            "name": name,
            "subjects": [f"{prefix}.>"],
            "max_msgs_per_subject": 1,
            "discard": "old",
            "storage": "file",
            "allow_atomic": True,
            "allow_direct": True,
        }
        answer = await self.ask(f"STREAM.CREATE.{name}", body | config)
        assert "error" not in answer, answer

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Publish into JetStream and return the ack."""
        client = await self.connect()
        try:
            return json.loads((await client.request(subject, data, headers=headers, timeout=5)).data)
        finally:
            await client.close()

    async def messages(self, name: str = "SEQUIN-RECORDS", *, subject: str = ">") -> list[Any]:
        """Everything stored, in order, as a stock pull consumer (deliver=all, ack=explicit) reads it."""
        client = await self.connect()
        try:
            jetstream = client.jetstream()
            left = (await jetstream.stream_info(name)).state.messages
            if not left:
                return []
            config = nats.js.api.ConsumerConfig(
                ack_policy=nats.js.api.AckPolicy.EXPLICIT, deliver_policy=nats.js.api.DeliverPolicy.ALL
            )
            reader = await jetstream.pull_subscribe(subject, stream=name, config=config)
            found: dict[int, Any] = {}  # by place in the stream: who acknowledges late is given a message again
            while len(found) < left:
                try:
                    batch = await reader.fetch(min(500, left - len(found)), timeout=2)
                except nats.errors.TimeoutError:
                    break
                for message in batch:
                    await message.ack()
                    found[message.metadata.sequence.stream] = message
            return [found[place] for place in sorted(found)]
        finally:
            await client.close()


def run(coroutine: Any) -> Any:
    """Run a coroutine of the above from a plain test."""
    return asyncio.run(coroutine)


@contextlib.contextmanager
def nats_server(
    *,
    user: str = "",
    password: str = "",
    token: str = "",
    users: Sequence[NatsUser] = (),
    tls: "Tls | None" = None,
    verify_clients: bool = False,
    jetstream: bool = True,
    binary: str = BINARY,
    **config: Any,
) -> Iterator[NatsServer]:
    """A server for as long as the block lasts. `config`: anything nats-server knows (max_payload=…)."""
    folder = Path(tempfile.mkdtemp(prefix="sequin-nats-"))
    port = free_port()
    body: dict[str, Any] = {"host": "127.0.0.1", "port": port, "server_name": f"test-{port}", **config}
    if jetstream:
        body["jetstream"] = {"store_dir": str(folder / "store")}
    server = NatsServer(folder, body, port, tls, binary=binary)
    if user:
        body["authorization"] = {"user": user, "password": password}
        server.admin = {"user": user, "password": password}
    elif token:
        body["authorization"] = {"token": token}
        server.admin = {"token": token}
    elif users:
        body["authorization"] = {"users": [one.as_config() for one in (ADMIN, *users)]}
        server.admin = {"user": ADMIN.name, "password": ADMIN.password}
    if tls is not None:
        body["tls"] = tls.write(folder) | ({"verify": True} if verify_clients else {})
        server.admin |= {"tls": tls.client_context(), "tls_hostname": "localhost"}
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


# --- TLS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tls:
    """Our own authority, a server certificate for localhost and 127.0.0.1, and a client certificate; all PEM text."""

    ca_pem: str
    server_cert_pem: str
    server_key_pem: str
    client_cert_pem: str
    client_key_pem: str

    def write(self, folder: Path) -> dict[str, str]:
        paths = {}
        for name, text in (
            ("cert_file", self.server_cert_pem),
            ("key_file", self.server_key_pem),
            ("ca_file", self.ca_pem),
        ):
            path = folder / f"{name}.pem"
            path.write_text(text)
            path.chmod(0o600)
            paths[name] = str(path)
        return paths

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca_pem)
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Path(folder) / "c.pem", Path(folder) / "k.pem"
            cert.write_text(self.client_cert_pem)
            key.write_text(self.client_key_pem)
            context.load_cert_chain(cert, key)
        return context


def make_tls(*, names: Sequence[str] = ("localhost", "127.0.0.1"), expired: bool = False) -> Tls:
    """Fresh certificates; `names` are what the server's is made for."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sequin test authority")])
    now = datetime.now(UTC)

    def sign(
        subject: x509.Name, key: Any, *extensions: tuple[x509.ExtensionType, bool], until: datetime
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(until)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(ca_key, hashes.SHA256())

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = sign(
        ca_name,
        ca_key,
        (x509.BasicConstraints(True, 0), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False),
        until=now + timedelta(days=2),
    )
    issuer = (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
    pairs = []
    for common_name, alternatives in (("nats", names), ("sequin-console", ())):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        extensions: list[tuple[x509.ExtensionType, bool]] = [issuer]
        if alternatives:
            extensions.append((x509.SubjectAlternativeName([_name(text) for text in alternatives]), False))
        until = now - timedelta(days=1) if expired and alternatives else now + timedelta(days=2)
        certificate = sign(subject, key, *extensions, until=until)
        pairs.append((_pem(certificate), _key_pem(key)))
    return Tls(_pem(authority), *pairs[0], *pairs[1])


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


# --- Operator mode ----------------------------------------------------------------------------------------------------

PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}


class NatsKey:
    """An nkey pair: `public` (O…, A… or U…), `seed` (SO…, SA… or SU…)."""

    def __init__(self, kind: str) -> None:
        self.kind, self._key = kind, Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = _base32(bytes([PREFIXES[kind]]) + raw)
        private = self._key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        first, second = (18 << 3) | PREFIXES[kind] >> 5, (PREFIXES[kind] & 31) << 3
        self.seed = _base32(bytes([first, second]) + private)

    def make_jwt(self, subject: str, name: str, claims: dict[str, Any], *, expires_at: datetime | None = None) -> str:
        """A JWT with algorithm ed25519-nkey about `subject`, signed by this key."""
        now = int(time.time())
        body: dict[str, Any] = {"iat": now, "iss": self.public, "name": name, "sub": subject, "nats": claims}
        if expires_at is not None:
            body["exp"] = int(expires_at.timestamp())
        digest = hashlib.new("sha512_256", json.dumps(body).encode()).digest()
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        unsigned = ".".join(_base64(json.dumps(part).encode()) for part in (header, body))
        return f"{unsigned}.{_base64(self._key.sign(unsigned.encode()))}"


def _base32(body: bytes) -> str:
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")


def _base64(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


@dataclass(frozen=True)
class Creds:
    """A user of an account: JWT and seed, and both as the text of a `.creds` file."""

    jwt: str
    seed: str
    user: str
    account: str

    @property
    def text(self) -> str:
        return (
            f"-----BEGIN NATS USER JWT-----\n{self.jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.seed}\n------END USER NKEY SEED------\n"
        )


@dataclass
class JwtServer(NatsServer):
    """A server in operator mode with one JetStream account."""

    account: NatsKey = field(default_factory=lambda: NatsKey("account"))

    def make_user(
        self,
        name: str = "sequin",
        *,
        publish: Sequence[str] | None = None,
        subscribe: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        account: NatsKey | None = None,
    ) -> Creds:
        """Credentials of a new user; None allows everything."""
        account, key = account or self.account, NatsKey("user")
        claims: dict[str, Any] = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
        claims["pub"] = {"allow": list(publish)} if publish is not None else {}
        claims["sub"] = {"allow": list(subscribe)} if subscribe is not None else {}
        return Creds(
            account.make_jwt(key.public, name, claims, expires_at=expires_at), key.seed, key.public, account.public
        )

    async def connect(self, **options: Any) -> Any:
        creds = self.make_user("test-admin")
        signer = _seeded(creds.seed)
        return await nats.connect(
            self.url,
            user_jwt_cb=lambda: bytearray(creds.jwt.encode()),
            signature_cb=lambda nonce: base64.b64encode(signer.sign(nonce.encode())),
            **{"connect_timeout": 5, **self.admin, **options},
        )


def _seeded(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34])


@contextlib.contextmanager
def jwt_server(*, tls: Tls | None = None, **config: Any) -> Iterator[JwtServer]:
    """Operator, account and users as JWTs made here; accounts are preloaded into a memory resolver."""
    folder = Path(tempfile.mkdtemp(prefix="sequin-nats-"))
    port, operator, account, system = free_port(), NatsKey("operator"), NatsKey("account"), NatsKey("account")
    limits = {
        "subs": -1,
        "data": -1,
        "payload": -1,
        "imports": -1,
        "exports": -1,
        "wildcards": True,
        "conn": -1,
        "leaf": -1,
    }
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    common = {"type": "account", "version": 2, "default_permissions": {"pub": {}, "sub": {}}}
    body: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "server_name": f"test-{port}",
        "jetstream": {"store_dir": str(folder / "store")},
        "operator": operator.make_jwt(
            operator.public, "test", {"type": "operator", "version": 2, "system_account": system.public}
        ),
        "system_account": system.public,
        "resolver": "MEMORY",
        "resolver_preload": {
            account.public: operator.make_jwt(account.public, "records", {**common, "limits": limits | storage}),
            system.public: operator.make_jwt(system.public, "SYS", {**common, "limits": limits}),
        },
        **config,
    }
    server = JwtServer(folder, body, port, tls, account=account)
    if tls is not None:
        body["tls"] = tls.write(folder)
        server.admin |= {"tls": tls.client_context(), "tls_hostname": "localhost"}
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether a process exists; for tests that kill workers of their own."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False
