"""Home, and whether the console lives and works."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

from sequin_console import health
from sequin_console.accounts.rights import Right, require
from sequin_console.common import web
from sequin_console.home import home_context


def home(request: HttpRequest) -> HttpResponse:
    """What runs, what lags, what is wrong, and the next step."""
    require(request.user, Right.SEE)
    return web.page_or_fragment(request, "home.html", "_home.html", home_context(request.user))


@web.public
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """The web process is up."""
    return JsonResponse({"status": "ok"})


@web.public
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Database, workers, scheduler and the embedded NATS truly work."""
    answer = health.readiness()
    return JsonResponse(answer, status=200 if answer["ok"] else 503)
