"""Which addresses an API that somebody described may lead to: looked at as we connect, after every name was resolved.

A name may resolve to anything, and to something else a second later, so only the address a socket is opened to counts.
Redirects are never followed (kit.http).
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from syncs.providers.kit.errors import AddressRefused

Allows = Callable[[str, int], bool]
"""(address, port) -> whether a socket may be opened to it, private though it is."""

_NAT64 = ip_network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A socket to this machine, its network or its cloud's metadata was asked for. Same text for all: see `refusal`."""

    def __init__(self) -> None:
        super().__init__("private address")


def is_public(text: str) -> bool:
    """Whether the address is on the open Internet.

    Not so: RFC 1918, loopback, link-local (the metadata services among it), unique local IPv6, shared (CGNAT),
    multicast, reserved; and all these as they are written into an IPv6 address (mapped, 6to4, NAT64).
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(address)
    if inner is not None:
        return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def guarded_socket(allows: Allows) -> Callable[[Any], socket.socket]:
    """What opens sockets for an HTTP client: to public addresses, and to what is allowed. Raises PrivateAddress."""

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, place = info
        if not is_public(place[0]) and not allows(place[0].partition("%")[0], place[1]):
            raise PrivateAddress
        return socket.socket(family, kind, protocol)

    return open_socket


def refusal(fault: BaseException | None) -> AddressRefused | None:
    """The error for people, where a private address is what a failed request comes down to."""
    while fault is not None:
        if isinstance(fault, PrivateAddress):
            return AddressRefused("This address is inside a private network, so nothing was sent there.")
        fault = fault.__cause__
    return None
