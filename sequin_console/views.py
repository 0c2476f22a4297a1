"""Home, whether the console lives and works, and what is said when something fails that no view expected."""

import json
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views.decorators.cache import never_cache

from sequin_console import health
from sequin_console.accounts.rights import Right, require
from sequin_console.common import database_trouble, web
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


def server_error(request: HttpRequest) -> HttpResponse:
    """The last answer there is: a database in trouble is told as such; all else is a mistake of ours.

    Nothing here asks the database: who is signed in is not known.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, database_trouble.AWAY):
        return HttpResponse(loader.render_to_string("500.html"), status=500)
    problem = database_trouble.as_problem(error)
    if request.path.startswith("/v1/"):
        return JsonResponse({"error": problem.as_dict()}, status=problem.status, headers={"Retry-After": "5"})
    if web.wants_fragment(request):
        toast = {"toast": {"text": f"{problem.message} {problem.next_step}", "level": "error"}}
        return HttpResponse(status=422, headers={"HX-Reswap": "none", "HX-Trigger": json.dumps(toast)})
    page = loader.render_to_string("503.html", {"problem": problem})
    return HttpResponse(page, status=problem.status, headers={"Retry-After": "5"})
