"""Which private addresses described APIs may live at: none, unless the operator says so.

`SEQUIN_PRIVATE_APIS` is a list of networks by commas (`10.1.0.0/16,127.0.0.1`), or `all`. The built-in demo's own
address is open while it runs.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ALL = "all"


@lru_cache(maxsize=8)
def parse(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks that are open. Raises ImproperlyConfigured for one that is none."""
    if text.strip().lower() == ALL:
        return (ip_network("0.0.0.0/0"), ip_network("::/0"))
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ImproperlyConfigured(f"SEQUIN_PRIVATE_APIS: {error}. See docs/settings.md.") from None


def allows(address: str, port: int) -> bool:
    """Whether a described API may be read at this private address."""
    sandbox = urlsplit(settings.SANDBOX_URL)
    if settings.SANDBOX_URL and (address, port) == (sandbox.hostname, sandbox.port):
        return True
    found = ip_address(address)
    return any(found in network for network in parse(settings.PRIVATE_APIS))


def problems() -> list[str]:
    """What is wrong with SEQUIN_PRIVATE_APIS, in sentences; for the start-up checks."""
    try:
        parse(settings.PRIVATE_APIS)
    except ImproperlyConfigured as error:
        return [str(error)]
    return []
