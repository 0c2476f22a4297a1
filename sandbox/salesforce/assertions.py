"""Signed assertions of the JWT bearer flow, read and checked without a JWT library: the reader of upstream has one.

Source: Salesforce help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration"; RFC 7515, RFC 7518 (RS256)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.salesforce.errors import OAuthError

AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
LONGEST_S = 300


def public_key(pem: str) -> RSAPublicKey | None:
    """The RSA key in a certificate or public key; None when there is none."""
    try:
        if "CERTIFICATE" in pem:
            key: Any = x509.load_pem_x509_certificate(pem.encode()).public_key()
        else:
            key = load_pem_public_key(pem.encode())
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) else None


def is_certificate(pem: str) -> bool:
    return public_key(pem) is not None


def read(packed: str, pem_of: Callable[[str], str | None]) -> dict[str, Any]:
    """The claims of an assertion signed by the app it names (`iss`). Raises OAuthError."""
    refused = OAuthError("invalid_grant", "invalid assertion")
    try:
        head, body, signature = packed.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        proof = _decoded(signature)
    except ValueError:
        raise refused from None
    if not isinstance(claims, dict) or header.get("alg") != "RS256":
        raise refused
    pem = pem_of(str(claims.get("iss", "")))
    if pem is None:
        raise OAuthError("invalid_client_id", "client identifier invalid")
    key = public_key(pem)
    try:
        if key is None:
            raise refused
        key.verify(proof, f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise refused from None
    return claims


def check(claims: dict[str, Any], now_s: float) -> None:
    """Whether it is meant for us, and still good. Raises OAuthError."""
    if claims.get("aud") not in AUDIENCES:
        raise OAuthError("invalid_grant", "audience is invalid")
    expires = claims.get("exp")
    if not isinstance(expires, int) or not now_s <= expires <= now_s + LONGEST_S:
        raise OAuthError("invalid_grant", "expired authorization code" if expires else "invalid assertion")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
