"""Signed claims (RFC 7519, RS256) for token endpoints that want a key's proof instead of a secret."""

import re
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from syncs.providers.kit.values import BadValue

LEAST_BITS = 2048
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)\s*-----END \1-----", re.DOTALL)


def private_key(text: str) -> str:
    """A `SetupField.clean`: the RSA private key in a pasted PEM, in one spelling. Raises BadValue saying what is wrong.

    Lines may have been lost on the way: ended by CR LF, by the two characters `\\n` (as JSON files hold them), or by
    spaces (as one-line fields make of them).
    """
    found = _PEM.search(text.replace("\\n", "\n").replace("\r", ""))
    if found is None:
        raise BadValue("This is no key in PEM form. It begins with -----BEGIN and ends with a line -----END …-----.")
    name, body = found[1], "".join(found[2].split())
    if "PUBLIC KEY" in name or "CERTIFICATE" in name:
        raise BadValue(f"This is the {name.lower()}. The private key is wanted, which made it.")
    if "ENCRYPTED" in name or "ENCRYPTED" in found[2]:
        raise BadValue("This key is locked by a pass phrase. Paste one without (openssl rsa -in key -out key.open).")
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    pem = f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"
    key = _rsa(pem)
    if not key.is_private:
        raise BadValue("This is a public key. The private key is wanted, which made it.")
    if key.raw_value.key_size < LEAST_BITS:
        raise BadValue(f"This key has {key.raw_value.key_size} bits; at least {LEAST_BITS} are needed.")
    return pem


def signed(claims: Mapping[str, Any], pem: str) -> str:
    """The claims as a compact JWT, signed by RS256 with this private key. Raises BadValue when it is none."""
    try:
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, dict(claims), _rsa(pem), algorithms=["RS256"])
    except JoseError:
        raise BadValue("This key cannot sign: the private RSA key is wanted.") from None


def _rsa(pem: str) -> RSAKey:
    try:
        return RSAKey.import_key(pem)
    except (JoseError, ValueError, TypeError):  # the texts of these may hold parts of the key
        raise BadValue("This is not an RSA private key, or a part of it is missing. Copy it again, whole.") from None
