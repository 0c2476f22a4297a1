"""Addresses people type: cleaned, and refused unless they are https or this very machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from syncs.providers.kit.values import BadValue


class BadHost(BadValue):
    """An address we do not send secrets to. Its text is a sentence for the person who typed it."""


def is_loopback(host: str) -> bool:
    """Whether the host name is this machine: `localhost`, `*.localhost`, 127.0.0.0/8, ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def clean_url(text: str) -> str:
    """`acme.example.com/` as `https://acme.example.com`; a path is kept, a slash at the end is not.

    Raises BadHost unless it is https (or http on loopback) with a host and without user, query or fragment.
    """
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadHost("The port in this address is not a number.") from None
    if not host or any(character.isspace() for character in parts.netloc):
        raise BadHost("This is not a web address.")
    if parts.username is not None or parts.password is not None:
        raise BadHost("Leave the user name and password out of the address.")
    if parts.query or parts.fragment:
        raise BadHost("Leave out everything after the question mark or the hash sign.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise BadHost("The address must begin with https://.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
