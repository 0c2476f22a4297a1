"""What is done to a running consumer by one press. Each answers htmx with the consumer's state as it is afterwards."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from consumers import services
from consumers.models import NatsConsumer
from consumers.views.consumers import detail_context
from sequin_console.common import web


@require_POST
def consumer_pause(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.pause(consumer, by=request.user)
    return done(request, consumer, "Consumer paused.")


@require_POST
def consumer_resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.resume(consumer, by=request.user)
    return done(request, consumer, "Consumer resumed.")


@require_POST
def consumer_replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send everything again from where this consumer began."""
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.replay(consumer, by=request.user)
    return done(request, consumer, "Everything is sent again from the beginning.")


@require_POST
def dismiss_warning(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.dismiss_warning(consumer, by=request.user)
    return done(request, consumer, "Hint put away.")


def done(request: HttpRequest, consumer: NatsConsumer, text: str) -> HttpResponse:
    """The consumer's state, read afresh, with a toast; without htmx its page with a message."""
    if not web.wants_fragment(request):
        return web.go_to(request, consumer, text)
    response = render(request, "consumers/_detail.html", detail_context(consumer))
    response["Vary"] = "HX-Request"
    return trigger_client_event(response, "toast", {"text": text, "level": "success"})
