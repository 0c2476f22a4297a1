"""Addresses that people described: public ones are connected to, private ones only where the operator allows it."""

import asyncio
import socket

import pytest

from syncs.providers.kit.access import Access
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import AddressRefused
from syncs.providers.kit.guard import is_public
from syncs.providers.kit.http import make_http
from tests.unit.providers.fakes import SECRET

PRIVATE = (
    "10.0.0.1", "172.16.3.4", "192.168.1.1", "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254",
    "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "nonsense",
)  # fmt: skip
PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_known_in_every_spelling(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_public(address):
    assert is_public(address)


class Listening:
    """A server on loopback that counts who came."""

    def __init__(self):
        self.came = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def answer(self, reader, writer):
        self.came += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        await writer.drain()
        writer.close()


async def ask(port, allows, host="127.0.0.1"):
    class Source:
        async def access(self):
            return Access(f"http://{host}:{port}", {"Authorization": f"Bearer {SECRET}"})

    async with make_http(allows=allows) as http:
        return await Client(http, Source(), draw_read_no=lambda: 1).get("/x")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_nothing_is_sent_to_a_private_address(host):
    async with Listening() as there:
        with pytest.raises(AddressRefused, match="private network") as refused:
            await ask(there.port, lambda address, port: False, host)
        assert there.came == 0
        assert "SEQUIN_PRIVATE_APIS" in refused.value.next_step


async def test_what_a_name_resolves_to_counts_and_not_the_name(monkeypatch):
    async def resolve(*_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with Listening() as there:
        port = there.port
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
        with pytest.raises(AddressRefused):
            await ask(port, lambda address, port: False, "crm.example.com")
        assert there.came == 0


async def test_what_the_operator_allows_is_connected_to():
    seen = []
    async with Listening() as there:
        answer = await ask(there.port, lambda address, port: seen.append((address, port)) is None)
        assert (answer.body, seen) == (b"[]", [("127.0.0.1", there.port)])
