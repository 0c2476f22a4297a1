"""What people type becomes addresses, headers and signatures: only where it fits."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt as check
from joserfc.jwk import RSAKey

from syncs.providers.kit.auth import TokenRequest, basic_by, header_by, parse_grant
from syncs.providers.kit.jwt import private_key, signed
from syncs.providers.kit.mask import masked
from syncs.providers.kit.values import BadValue, fill, host_label, places

KEY = rsa.generate_private_key(65537, 2048)


def pem(key=KEY, form=serialization.PrivateFormat.PKCS8, lock=None) -> str:
    encryption = serialization.BestAvailableEncryption(lock) if lock else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def public_pem() -> str:
    public = KEY.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


# --- Host labels and templates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    ["acme", " Acme ", "acme.zendesk.com", "https://acme.zendesk.com/agent/home?x=1", "http://acme.zendesk.com"],
)
def test_label_is_taken_out_of_what_people_paste(typed):
    assert host_label("zendesk.com")(typed) == "acme"


HOSTILE = [
    "", "evil.com", "acme.zendesk.com.evil.com", "evil.com/.zendesk.com", "evil.com#.zendesk.com", "a@evil.com",
    "acme:443", "a.b", "acme.evil", "-acme", "acme-", "ac me", "acme%2eevil.com", "acme\\evil.com", "a" * 64,
    "https://evil.com/acme.zendesk.com", "https://user:pass@acme.zendesk.com", "аcme",
    "acme\n.evil.com",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE)
def test_label_that_would_be_another_host_is_refused(typed):
    with pytest.raises(BadValue):
        host_label("zendesk.com")(typed)


@pytest.mark.parametrize("typed", [*HOSTILE, "acme?", "acme/", "ACME", "acme.zendesk.com"])
def test_template_lets_nothing_but_a_label_into_the_host(typed):
    """Even what has slipped past the form: what is filled in is checked again where it is used."""
    with pytest.raises(BadValue):
        fill("https://{subdomain}.zendesk.com/oauth", {"subdomain": typed})


@pytest.mark.parametrize(
    ("template", "values", "filled"),
    [
        ("https://{sub}.zendesk.com", {"sub": "acme"}, "https://acme.zendesk.com"),
        ("/ex/jira/{cloud_id}", {"cloud_id": "8d2f-1"}, "/ex/jira/8d2f-1"),
        ("/oauth/v2/{link}/authorize", {}, "/oauth/v2/authorize"),
        ("/oauth/v2/{link}/authorize", {"link": "chnlink_1"}, "/oauth/v2/chnlink_1/authorize"),
        ("/x/{a}", {"a": "../../b?c#d"}, "/x/..%2F..%2Fb%3Fc%23d"),
        ("{login_url}/api/v3", {"login_url": "https://ghe.acme.com"}, "https://ghe.acme.com/api/v3"),
        ("https://api.github.com", {"sub": "unused"}, "https://api.github.com"),
    ],
)
def test_templates_are_filled(template, values, filled):
    assert fill(template, values) == filled


@pytest.mark.parametrize(
    ("template", "values"), [("{login_url}/api", {}), ("https://{s}.a.com", {}), ("/x/{a}/y", {"a": ".."})]
)
def test_template_without_its_values_is_refused(template, values):
    with pytest.raises(BadValue):
        fill(template, values)


def test_places_of_a_template():
    assert places("https://{a}.test/{b}") == ("a", "b")


# --- Keys and signatures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize(
    "spoilt",
    [str, lambda text: text.replace("\n", "\r\n"), lambda text: text.replace("\n", "\\n"),
     lambda text: text.replace("\n", " "), lambda text: f"\n  {text}\n\n"],
)  # fmt: skip
def test_key_is_read_however_its_lines_came(form, spoilt):
    key = private_key(spoilt(pem(form=form)))
    assert key == pem(form=form).strip()
    claims = {"iss": "app", "exp": int(datetime(2026, 11, 26, tzinfo=UTC).timestamp())}
    read = check.decode(signed(claims, key), RSAKey.import_key(public_pem()), algorithms=["RS256"])
    assert (read.header["alg"], read.claims) == ("RS256", claims)


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "PEM"),
        ("MIIEvQ", "PEM"),
        (public_pem(), "private key is wanted"),
        ("-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----", "certificate"),
        (pem(lock=b"secret"), "pass phrase"),
        (pem(form=serialization.PrivateFormat.TraditionalOpenSSL, lock=b"secret"), "pass phrase"),
        (pem()[:900] + pem()[1000:], "part of it is missing"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        ("-----BEGIN PRIVATE KEY-----\n????\n-----END PRIVATE KEY-----", "not an RSA"),
    ],
)
def test_key_that_cannot_sign_is_told_in_words(text, word):
    with pytest.raises(BadValue, match=word) as refused:
        private_key(text)
    assert len(text) < 60 or text[30:60] not in str(refused.value)


def test_what_cannot_sign_does_not():
    with pytest.raises(BadValue):
        signed({}, public_pem())


# --- Headers, grants, masks ------------------------------------------------------------------------------------------


def test_basic_header_is_made_of_fields():
    headers = basic_by("{email}/token", "{api_token}")({"api_token": "s{email}"}, {"email": "ä@acme.test"})
    scheme, packed = headers["Authorization"].split()
    assert (scheme, base64.b64decode(packed).decode()) == ("Basic", "ä@acme.test/token:s{email}")


def test_one_header_of_a_field():
    assert header_by("X-Api-Key", "key {secret}")({"secret": "s1"}, {}) == {"X-Api-Key": "key s1"}


@pytest.mark.parametrize(
    ("answer", "scopes"),
    [
        ({"scope": "api refresh_token"}, ("api", "refresh_token")),
        ({"scope": "repo,read:org"}, ("repo", "read:org")),
        ({"scopes": ["oauth", "tickets"]}, ("oauth", "tickets")),
        ({"scope": ""}, ()),
        ({}, ()),
    ],
)
def test_granted_scopes_are_read_in_every_spelling(answer, scopes):
    assert parse_grant({"access_token": "a", **answer}).scopes == scopes


def test_token_request_shows_no_secret():
    shown = repr(TokenRequest("/t", form={"client_secret": "s3"}, headers={"Authorization": "s3"}, json={"k": "s3"}))
    assert "s3" not in shown


@pytest.mark.parametrize(
    "secret",
    ["ghs_0123456789abcdefABCDEF", "github_pat_11AAAAAAA0abcdefghij_xyz", "ATATT3xFfGF0abcdefgh=1234",
     "pat-na1-0123-4567-89ab", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhcHAifQ.c2lnbmF0dXJl", pem()],
)  # fmt: skip
def test_secrets_of_the_new_kinds_are_masked(secret):
    assert masked(f'{{"message": "bad {secret}"}}').startswith('{"message": "bad ***')
    assert secret[12:] not in masked(f"assertion {secret} refused")
