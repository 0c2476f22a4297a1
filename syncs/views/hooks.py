"""Where providers deliver webhooks. Answers at once: what is named is stored, and read by a worker."""

import contextlib

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from sequin_console.common import task_queue, web
from syncs import tasks, webhooks


@csrf_exempt
@web.public
@require_POST
@sensitive_variables("path", "row", "body")
def hook(request: HttpRequest, provider_key: str, path: str) -> HttpResponse:
    """One delivery: 204 once it is taken, 400 when it cannot be proven, 404 for an address that is none, 413 too long.

    Nothing is told beside the status: whoever sends what cannot be proven learns nothing from us.
    """
    if _told_size(request) > webhooks.MOST_BYTES:
        return HttpResponse(status=413)
    row = webhooks.find(provider_key, path)
    if row is None:
        return HttpResponse(status=404)
    body = request.read(webhooks.MOST_BYTES + 1)
    if len(body) > webhooks.MOST_BYTES:
        return HttpResponse(status=413)
    feeds = webhooks.receive(row, {name.lower(): value for name, value in request.headers.items()}, body)
    if feeds is None:
        return HttpResponse(status=400)
    if feeds:
        with contextlib.suppress(task_queue.QueueAway):  # the scheduler finds the hints a second later
            tasks.enqueue_due(Q(pk__in=feeds))
    return HttpResponse(status=204)


def _told_size(request: HttpRequest) -> int:
    """What the sender says it sends; 0 for one that does not say, of which no more is read than we take."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
