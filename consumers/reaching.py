"""The way to a NATS server before anybody signs in: find the host, greet the server, and explain what failed."""

import asyncio
import json
import re
import socket
import ssl
from datetime import UTC, datetime
from typing import Any

from consumers import credentials
from consumers.connection import (
    CannotConnect,
    CannotResolve,
    LinkError,
    NatsSettings,
    NoAnswer,
    SignInRefused,
    TlsFailed,
)

CONNECT_S, INFO_S = 6.0, 3.0


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name. Raises CannotResolve."""
    try:
        found = await asyncio.wait_for(
            asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM), CONNECT_S
        )
    except (OSError, UnicodeError, TimeoutError):
        raise CannotResolve(f"The host name {host} is not known.", "Check the spelling of the host.") from None
    return sorted({str(address[4][0]) for address in found})


async def greet(host: str, port: int) -> dict[str, Any]:
    """What the server says of itself before sign-in; empty when it waits for TLS first. Raises CannotConnect.

    A look of our own before nats-py connects, for nats-py tells a refused port, a silent one and a wrong one alike.
    """
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)
    except TimeoutError:
        raise CannotConnect(
            f"{host} port {port} did not answer within {CONNECT_S:g} seconds.",
            "Check the port and that no firewall lies between.",
        ) from None
    except OSError:
        raise CannotConnect(
            f"{host} refused a connection on port {port}.", "Check the port, and that the NATS server runs."
        ) from None
    try:
        line = await asyncio.wait_for(reader.readline(), INFO_S)
    except (TimeoutError, OSError, ValueError):
        return {}
    finally:
        writer.close()
    if not line.startswith(b"INFO "):
        raise CannotConnect(
            f"What answers at {host} port {port} is not a NATS server.", "NATS clients use port 4222 by default."
        )
    return dict(json.loads(line[5:]))


def explain(
    error: Exception, said: list[str], settings: NatsSettings, host: str, port: int, server: dict[str, Any]
) -> LinkError:
    """A failed connection by cause: TLS, sign-in, time-out, anything else."""
    text = " ".join([str(error), *said])
    if settings.tls and server and not (server.get("tls_required") or server.get("tls_available")):
        return TlsFailed(f"{host} does not offer TLS on port {port}.", "Switch TLS off here, or on in the server.")
    if isinstance(error, ssl.SSLError) or "SSL" in text or "certificate" in text.lower():
        return _tls_explained(text, host)
    if re.search(r"auth|expired|revoked|nkey|user", text, re.IGNORECASE):
        expired = re.search(r"expired", text, re.IGNORECASE) or credentials.has_expired(settings.jwt, datetime.now(UTC))
        return SignInRefused(
            "NATS says that these credentials have expired." if expired else "NATS refused these credentials.",
            "Enter credentials that this server knows; a JWT's account must be known to it, too.",
        )
    if server.get("tls_required") and not settings.tls:
        return TlsFailed(f"{host} wants TLS.", "Switch TLS on, and paste its certificate authority if it is your own.")
    if server.get("tls_verify") and not settings.client_cert_pem:
        return TlsFailed(f"{host} wants a client certificate.", "Paste a client certificate and its key.")
    if isinstance(error, TimeoutError):
        return NoAnswer(f"{host} took the connection but did not finish signing us in.", "Try again in a moment.")
    if settings.tls:
        return TlsFailed(f"{host} closed the connection during TLS.", "Check the client certificate, if one is needed.")
    return CannotConnect(f"{host} closed the connection.", "Look into the NATS server's log.")


def _tls_explained(text: str, host: str) -> TlsFailed:
    lower = text.lower()
    if "hostname mismatch" in lower or "ip address mismatch" in lower:
        return TlsFailed(f"The server's certificate is not made for {host}.", "Use the name in the certificate.")
    if "certificate required" in lower or "bad certificate" in lower or "unknown ca" in lower:
        return TlsFailed(f"{host} wants a client certificate it trusts.", "Paste a client certificate and its key.")
    if "expired" in lower:
        return TlsFailed("The server's certificate has expired.", "Renew the certificate on the NATS server.")
    if "verify failed" in lower:
        return TlsFailed(
            f"The certificate of {host} is not from an authority we trust.",
            "Paste your certificate authority (PEM), and switch TLS on.",
        )
    return TlsFailed(f"TLS with {host} failed.", "Check that the port speaks TLS, and the certificates.")
