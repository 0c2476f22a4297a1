"""What people type, before it is used: cleaned, refused with a sentence, and put into addresses without harm."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LOGIN_URL = "login_url"
_PLACE = re.compile(r"\{(\w+)\}")


class BadValue(ValueError):
    """A value that cannot be right. Its text is a sentence for the person who typed it."""


def host_label(domain: str) -> Callable[[str], str]:
    """A `SetupField.clean`: the account's label in front of this domain, and nothing but.

    With `zendesk.com`, `acme`, `acme.zendesk.com` and `https://acme.zendesk.com/agent` all become `acme`. Another
    domain, a port, a user name or a dot raise BadValue: secrets go to this host, so no part of it is anybody's choice.
    """

    def clean(text: str) -> str:
        text = text.strip().lower()
        parts = urlsplit(text if "://" in text else f"https://{text}")
        label = parts.netloc.removesuffix(f".{domain}")
        if not LABEL.fullmatch(label):
            raise BadValue(f"Give the name alone: “acme” of acme.{domain}.")
        return label

    return clean


def fill(template: str, values: Mapping[str, str]) -> str:
    """`https://{subdomain}.zendesk.com` or `/ex/jira/{cloud_id}` with the values in their places.

    Before the path only plain host labels are let in (or, at its very beginning, a whole `{login_url}`, which the
    provider's `check_host` has let pass); in the path values are percent-encoded, and an empty one takes its slash
    along. Raises BadValue for a value that is missing or unfit.
    """
    start = ""
    if template.startswith(f"{{{LOGIN_URL}}}"):
        start, template = values.get(LOGIN_URL, "").rstrip("/"), template.removeprefix(f"{{{LOGIN_URL}}}")
        if not start:
            raise BadValue("The address of the account is missing.")
    scheme, host, path = _apart(template)
    host = _PLACE.sub(lambda found: _label(found[1], values), host)
    path = _PLACE.sub(lambda found: quote(values.get(found[1], ""), safe=""), path)
    if any(segment in (".", "..") for segment in path.split("/")):
        raise BadValue("A name of dots alone cannot be right.")
    return start + scheme + host + re.sub(r"/{2,}", "/", path)


def places(template: str) -> tuple[str, ...]:
    """The names a template has places for: `("cloud_id",)`."""
    return tuple(_PLACE.findall(template))


def _apart(template: str) -> tuple[str, str, str]:
    """(`https://`, host, path); a path alone has neither."""
    scheme, mark, rest = template.rpartition("://")
    if not mark:
        return "", "", template
    host, slash, path = rest.partition("/")
    return scheme + mark, host, slash + path


def _label(name: str, values: Mapping[str, str]) -> str:
    label = values.get(name, "")
    if not LABEL.fullmatch(label):
        raise BadValue(f"“{name}” is missing." if not label else f"“{name}” is no plain name of a host.")
    return label
