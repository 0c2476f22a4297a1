"""Every page requires sign-in unless it says that it is public."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url

from sequin_console.common import audit

API_PREFIX = "/v1/"  # authenticates by bearer tokens of its own


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Send people who are not signed in to the sign-in page; a view opts out with `@web.public`."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        audit.client_ip.set(request.META.get("REMOTE_ADDR") or None)  # each request sets its own
        is_public = not getattr(
            view_func, "login_required", True
        )  # Django asks who it is all the same: by the database
        if is_public or request.path_info.startswith(API_PREFIX):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        """The sign-in page leads back to the page she was on: not to a fragment, nor to a URL that only takes POST."""
        is_htmx = request.headers.get("HX-Request") == "true"
        if is_htmx:
            page = urlsplit(request.headers.get("HX-Current-URL", ""))
            back = page.path + (f"?{page.query}" if page.query else "")
        else:
            back = request.get_full_path() if request.method == "GET" else ""
        url = resolve_url(self.get_login_url(view_func)) + (f"?{urlencode({'next': back})}" if back else "")
        if is_htmx:
            return HttpResponse(status=401, headers={"HX-Redirect": url, "Vary": "HX-Request"})
        return HttpResponseRedirect(url)
