"""What credentials say of themselves, and wrong pairs told before any network call."""

from datetime import UTC, datetime, timedelta

import nkeys
import pytest

from consumers import credentials
from consumers.credentials import BadCredentials
from tests.nats_server import Creds, NatsKey

NOW = datetime.now(UTC)


def make_creds(**claims: object) -> Creds:
    account, user = NatsKey("account"), NatsKey("user")
    expires = claims.pop("expires_at", None)
    jwt = account.make_jwt(user.public, "ada", {"type": "user", "version": 2, **claims}, expires_at=expires)
    return Creds(jwt, user.seed, user.public, account.public)


def test_facts_of_a_good_pair() -> None:
    creds = make_creds(pub={"allow": ["a.>"]}, sub={"deny": ["b"]}, expires_at=NOW + timedelta(days=1))
    facts = credentials.check_pair(creds.jwt, creds.seed, now=NOW)
    assert (facts.user, facts.account, facts.user_name) == (creds.user, creds.account, "ada")
    assert (facts.publish_allow, facts.subscribe_deny) == (["a.>"], ["b"])
    assert facts.expires_at.startswith(f"{NOW + timedelta(days=1):%Y-%m-%d}")


def test_public_key_and_signature_are_what_nkeys_computes() -> None:
    seed = NatsKey("user").seed
    pair = nkeys.from_seed(bytearray(seed.encode()))
    assert credentials.public_key(seed) == pair.public_key.decode().rstrip("=")
    import base64

    assert base64.b64decode(credentials.sign(seed, b"nonce")) == pair.sign(b"nonce")


def test_wrong_pair_is_told_naming_the_part() -> None:
    one, other = make_creds(), make_creds()
    with pytest.raises(BadCredentials, match="do not belong together") as caught:
        credentials.check_pair(one.jwt, other.seed, now=NOW)
    assert caught.value.part == "jwt"


@pytest.mark.parametrize(
    ("seed", "part"),
    [
        ("nonsense", "nkey_seed"),
        (NatsKey("account").seed, "nkey_seed"),
        ("", "nkey_seed"),
        ("SU" + "A" * 56, "nkey_seed"),
    ],
    ids=["nonsense", "of an account", "missing", "mistyped"],
)
def test_bad_seed_is_told(seed: str, part: str) -> None:
    with pytest.raises(BadCredentials) as caught:
        credentials.check_pair(make_creds().jwt, seed, now=NOW)
    assert caught.value.part == part
    assert not seed or seed not in caught.value.message


def test_expired_and_foreign_jwts_are_told() -> None:
    old = make_creds(expires_at=NOW - timedelta(days=1))
    with pytest.raises(BadCredentials, match="expired"):
        credentials.check_pair(old.jwt, old.seed, now=NOW)
    with pytest.raises(BadCredentials, match="account; a user's is needed"):
        credentials.read_jwt(NatsKey("operator").make_jwt("A", "x", {"type": "account"}))
    with pytest.raises(BadCredentials, match="not a NATS user JWT"):
        credentials.read_jwt("abc.def")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("USER NKEY SEED", "USER PRIVATE KEY"),
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("------END", "-----END"),
        lambda text: "\n\n  " + text + "\n\n",
    ],
    ids=["plain", "windows", "private key header", "escaped newlines", "five dashes", "padded"],
)
def test_creds_text_in_all_its_variants(change: object) -> None:
    creds = make_creds()
    assert credentials.parse_creds(change(creds.text)) == (creds.jwt, creds.seed)  # type: ignore[operator]


def test_creds_without_a_part_say_which() -> None:
    with pytest.raises(BadCredentials, match="No user JWT"):
        credentials.parse_creds(make_creds().seed)
    with pytest.raises(BadCredentials, match="No nkey seed"):
        credentials.parse_creds(make_creds().jwt)
