"""NATS credentials read here, without asking any server: `.creds` text, user JWT and nkey seed (pure).

Source: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt and the nkeys format
(base32 of prefix byte, key, CRC-16/XMODEM). Nothing here verifies signatures: only the server's opinion counts. It
tells what the credentials say, and a pair that cannot work, before any network call.
"""

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BLOCK = re.compile(r"-{3,}\s*BEGIN ([A-Z0-9 ]+?)\s*-{3,}\s+(.*?)\s+-{3,}\s*END [A-Z0-9 ]+?\s*-{3,}", re.DOTALL)
_JWT = re.compile(r"\b[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
_SEED = re.compile(r"\bS[UAO][A-Z2-7]{56}\b")
_SEED_PREFIX, _USER_PREFIX = 18 << 3, 20 << 3
_KINDS = {_USER_PREFIX: "user", 0: "account", 14 << 3: "operator"}


class BadCredentials(ValueError):
    """What is wrong, in a sentence; `part` is `creds`, `jwt` or `nkey_seed`. Never contains the credentials."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part, self.message = part, message


@dataclass(frozen=True)
class JwtFacts:
    """What a user JWT says about itself; nothing secret. Lists of subjects as in the token; empty allows all."""

    user: str
    user_name: str
    account: str
    expires_at: str = ""
    issued_at: str = ""
    publish_allow: list[str] = field(default_factory=list)
    publish_deny: list[str] = field(default_factory=list)
    subscribe_allow: list[str] = field(default_factory=list)
    subscribe_deny: list[str] = field(default_factory=list)
    bearer: bool = False
    max_payload: int = -1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse_creds(text: str) -> tuple[str, str]:
    """(JWT, seed) from a `.creds` file's text. Any block names do (nats.py issue 458: `USER PRIVATE KEY`).

    Raises BadCredentials when either is missing.
    """
    text = text.replace("\\n", "\n") if "\n" not in text.strip() else text
    blocks = dict(_BLOCK.findall(text))
    jwt = next((body for name, body in blocks.items() if "JWT" in name), "") or _first(_JWT, text)
    seed = next((body for name, body in blocks.items() if "SEED" in name or "KEY" in name), "") or _first(_SEED, text)
    jwt, seed = "".join(jwt.split()), "".join(seed.split())
    if not jwt:
        raise BadCredentials("creds", "No user JWT was found in the credentials text.")
    if not seed:
        raise BadCredentials("creds", "No nkey seed was found in the credentials text.")
    return jwt, seed


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(0) if match else ""


def read_jwt(jwt: str) -> JwtFacts:
    """What a user JWT says. Raises BadCredentials when it is not one."""
    try:
        claims = json.loads(_unbase64(jwt.strip().split(".")[1]))
        nats, subject = claims["nats"], claims["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        raise BadCredentials("jwt", "This is not a NATS user JWT: three parts of base64 with dots between.") from None
    kind = nats.get("type") or claims.get("type", "")
    if kind != "user":
        raise BadCredentials("jwt", f"This is the JWT of an {kind or 'unknown thing'}; a user's is needed.")
    publish, subscribe = nats.get("pub") or {}, nats.get("sub") or {}
    return JwtFacts(
        user=subject,
        user_name=claims.get("name", ""),
        account=nats.get("issuer_account") or claims.get("iss", ""),
        expires_at=_time(claims.get("exp")),
        issued_at=_time(claims.get("iat")),
        publish_allow=list(publish.get("allow") or []),
        publish_deny=list(publish.get("deny") or []),
        subscribe_allow=list(subscribe.get("allow") or []),
        subscribe_deny=list(subscribe.get("deny") or []),
        bearer=bool(nats.get("bearer_token")),
        max_payload=int(nats.get("payload", -1)),
    )


def has_expired(jwt: str, now: datetime) -> bool:
    """Whether this is a user JWT whose time is over; servers tell a client that comes back only that it is refused."""
    try:
        expires_at = read_jwt(jwt).expires_at
    except BadCredentials:
        return False
    return bool(expires_at) and datetime.fromisoformat(expires_at) <= now


def check_pair(jwt: str, seed: str, *, now: datetime) -> JwtFacts:
    """The facts of a JWT and seed that belong together. Raises BadCredentials naming the wrong part."""
    facts = read_jwt(jwt)
    if not seed and not facts.bearer:
        raise BadCredentials("nkey_seed", "The nkey seed that belongs to this JWT is missing.")
    if seed and public_key(seed) != facts.user:
        raise BadCredentials("jwt", "The JWT and the nkey seed do not belong together.")
    if facts.expires_at and datetime.fromisoformat(facts.expires_at) <= now:
        raise BadCredentials("jwt", f"This JWT expired on {facts.expires_at[:16].replace('T', ' ')} UTC.")
    return facts


def public_key(seed: str) -> str:
    """The public nkey (`U…`) of a user's seed. Raises BadCredentials."""
    kind, private = _open_seed(seed)
    if kind != "user":
        raise BadCredentials("nkey_seed", f"This is the seed of an {kind}; a user's seed begins with SU.")
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    body = bytes([_USER_PREFIX]) + raw
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")


def sign(seed: str, nonce: bytes) -> bytes:
    """The answer to a server's challenge, base64 as the protocol wants it."""
    return base64.b64encode(_open_seed(seed)[1].sign(nonce))


def _open_seed(seed: str) -> tuple[str, Ed25519PrivateKey]:
    wrong = BadCredentials("nkey_seed", "This is not an nkey seed: 58 letters and digits that begin with SU.")
    try:
        raw = base64.b32decode(seed.strip() + "=" * (-len(seed.strip()) % 8))
    except (binascii.Error, ValueError):
        raise wrong from None
    body, checksum = raw[:-2], raw[-2:]
    if len(body) != 34 or body[0] & 0xF8 != _SEED_PREFIX:
        raise wrong
    if binascii.crc_hqx(body, 0).to_bytes(2, "little") != checksum:
        raise BadCredentials("nkey_seed", "The nkey seed has a typing error: its checksum does not fit.")
    prefix = (body[0] & 7) << 5 | (body[1] & 0xF8) >> 3
    return _KINDS.get(prefix, "unknown thing"), Ed25519PrivateKey.from_private_bytes(body[2:])


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _time(epoch_s: Any) -> str:
    return datetime.fromtimestamp(int(epoch_s), UTC).isoformat() if epoch_s else ""
