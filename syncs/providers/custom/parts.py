"""What a definition is made of: texts in their one spelling, or refused with a sentence."""

import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from syncs.providers.kit.guard import is_public
from syncs.providers.kit.hosts import clean_url
from syncs.providers.kit.values import BadValue

_SECRET = re.compile(r"(?i)authorization|cookie|secret|passw|token|api[-_]?key|access[-_]?key|signature")
_DOTTED = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _dotted(text: str) -> str:
    if text and not _DOTTED.fullmatch(text):
        raise ValueError("Write the names of the keys with dots between them: “data.items”.")
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError("This is not the name of a header.")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//"):
        raise ValueError("The path begins with one slash and goes on from the base URL: “/contacts”.")
    if "?" in text or "#" in text or any(part in (".", "..") for part in text.split("/")):
        raise ValueError("Leave out “..” and everything after a question mark; parameters have a field of their own.")
    return text


def _url(text: str) -> str:
    """https; or http where it stays in a private network, which the operator has then to allow."""
    scheme, _, rest = text.strip().partition("://")
    is_inside = scheme == "http" and _is_private(rest)
    try:
        url = clean_url(f"https://{rest}" if is_inside else text)
    except BadValue as error:
        raise ValueError(str(error)) from None
    if "{" in url:
        raise ValueError("There is no place for anything in braces here.")
    return url.replace("https", "http", 1) if is_inside else url


def _is_private(rest: str) -> bool:
    try:
        host = urlsplit(f"http://{rest}").hostname or ""
        ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


def _no_secrets(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if _SECRET.search(name):
            raise ValueError(f"“{name}” looks like a secret, and this is exported: say above how we are let in.")
        if not value.isprintable():
            raise ValueError(f"The value of “{name}” holds characters that cannot be sent.")
    return values


def _words(value: Any) -> Any:
    """Scopes as people type them: by spaces or commas."""
    return [word for word in re.split(r"[\s,]+", value) if word] if isinstance(value, str) else value


Dotted = Annotated[str, Field(max_length=200), AfterValidator(_dotted)]
Path = Annotated[str, Field(max_length=300), AfterValidator(_path)]
Url = Annotated[str, Field(max_length=300), AfterValidator(_url)]
Param = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s&=?#]+$")]
Values = Annotated[dict[str, str], Field(max_length=30), AfterValidator(_no_secrets)]
Scopes = Annotated[list[str], Field(max_length=50), BeforeValidator(_words)]
HeaderName = Annotated[str, Field(max_length=100), AfterValidator(_header)]
Hours = Annotated[int, Field(ge=1, le=24 * 90)]


class Part(BaseModel):
    """A name nobody knows is refused: a typing error must not pass in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
