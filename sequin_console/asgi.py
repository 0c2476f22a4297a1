"""HTTP and WebSocket entry: Django's pages, and feeds for people who are signed in."""

import os
from typing import Any
from urllib.parse import urlsplit

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sequin_console.settings")
django_application = get_asgi_application()  # before anything that needs the apps

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402
from django.http.request import split_domain_port, validate_host  # noqa: E402
from django.urls import path  # noqa: E402

from consumers.live import RecordsFeed  # noqa: E402
from sequin_console.common.feeds import ChangesFeed  # noqa: E402

for database in connections.settings.values():
    if database["CONN_MAX_AGE"] is None:  # each request has a thread of its own, and what that kept nobody would close
        database["CONN_MAX_AGE"] = 0


class SameOriginOnly:
    """Refuse a WebSocket opened by another site's page: cookies come along with it, and no CSRF token would.

    The Origin must be PUBLIC_URL's, or name the very host the request came to, if that is one of ALLOWED_HOSTS.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        headers = {name.lower(): value.decode("latin1") for name, value in scope.get("headers", [])}
        inner = self.application if is_same_origin(headers.get(b"origin", ""), headers.get(b"host", "")) else DENIED
        return await inner(scope, receive, send)


DENIED = WebsocketDenier.as_asgi()


def is_same_origin(origin: str, host: str) -> bool:
    """Whether a page of this console sent this. No Origin means no browser, and no reason to let it in."""
    if origin == settings.PUBLIC_URL:
        return True
    try:
        asked = urlsplit(origin)
    except ValueError:
        return False
    if asked.scheme not in ("http", "https") or asked.netloc != host:
        return False
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


feeds = [
    path("ws/changes/", ChangesFeed.as_asgi()),
    path("ws/records/<uuid:consumer_id>/", RecordsFeed.as_asgi()),
]
application = ProtocolTypeRouter(
    {"http": django_application, "websocket": SameOriginOnly(AuthMiddlewareStack(URLRouter(feeds)))}
)
