"""Near real time: a connection's webhook set up, given its secret, taken away."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from sequin_console.accounts.rights import Right, may
from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import hook_rows, stream_rows, webhooks
from syncs.catalogue import PROVIDERS
from syncs.connection_forms import SigningSecretForm
from syncs.models import Credential, Webhook


@never_cache
def webhook(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How the connection's webhook is doing; the part of its card that reloads by itself."""
    rows = Credential.objects.visible_to(request.user).select_related("oauth_app", "webhook", "change_stream")
    credential = get_object_or_404(rows, pk=pk)
    context = webhook_context(credential, request.user)
    return web.page_or_fragment(request, "syncs/webhook.html", "syncs/_webhook_state.html", context)


def change_events(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How listening to the provider's change events is doing; the part of the card that reloads by itself."""
    credential = get_object_or_404(Credential.objects.visible_to(request.user).select_related("change_stream"), pk=pk)
    context = webhook_context(credential, request.user)
    return web.page_or_fragment(request, "syncs/change_events.html", "syncs/_stream_state.html", context)


@require_POST
def webhook_set_up(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make an address, and register it at the provider where it lets us; pressed again, it tries that again."""
    rows = Credential.objects.editable_by(request.user).select_related("oauth_app")
    row = webhooks.set_up(get_object_or_404(rows, pk=pk), by=request.user)
    return web.go_to(request, _card(pk), "Registered." if row.is_registered and not row.error else "")


@require_POST
@sensitive_post_parameters()
@sensitive_variables("form")
def webhook_secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Keep the signing secret that the provider shows."""
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    row = get_object_or_404(Webhook.objects.select_related("credential__oauth_app"), credential=credential)
    form = secret_form(credential, request.POST)
    if form.is_valid():
        try:
            webhooks.keep_secret(row, form.cleaned_data["secret"], by=request.user)
        except Problem as problem:
            web.form_problem(form, problem)
        else:
            return web.go_to(request, _card(pk), "Signing secret saved.")
    context = webhook_context(credential, request.user) | {"secret_form": form}
    return web.page_or_fragment(request, "syncs/webhook.html", "syncs/_webhook.html", context)


@require_POST
def webhook_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    credential = get_object_or_404(Credential.objects.editable_by(request.user), pk=pk)
    row = get_object_or_404(Webhook.objects.select_related("credential__oauth_app"), credential=credential)
    webhooks.remove(row, by=request.user)
    return web.go_to(request, _card(pk), "Webhook removed. Syncs go on looking for changes at their interval.")


def webhook_context(credential: Credential, user: Any) -> dict[str, Any]:
    """What the card shows. Address and secret only to those who may set it up."""
    provider = PROVIDERS[credential.provider]
    context: dict[str, Any] = {"credential": credential, "provider": provider}
    if provider.stream is not None:
        context["stream"] = stream_rows.of_credential(credential, hook_rows.last_change(credential))
    if provider.webhook is None:
        return context
    hook = hook_rows.hook_row(credential, hook_rows.last_change(credential))
    context |= {"hook": hook, "may_register": webhooks.may_register(credential)}
    if hook is None or not may(user, Right.OPERATE):
        return context
    needs_secret = provider.webhook.secret is not None and not webhooks.signs_by_app(credential)
    return context | {
        "hook_url": webhooks.url_of(hook.row),
        "hook_secret": hook.row.secrets.get("secret", "") if provider.webhook.secret is None else "",
        "secret_form": secret_form(credential) if needs_secret else None,
        "is_unreachable": hook_rows.is_unreachable(),
    }


def secret_form(credential: Credential, posted: Any = None) -> SigningSecretForm:
    """The form for the provider's signing secret. Raises Problem where there is none to paste."""
    field = webhooks.way_of(credential).secret
    if field is None:
        raise Problem("The signing secret is ours here: paste it at the provider.", kind="conflict", status=409)
    return SigningSecretForm(posted, field=field)


def _card(pk: UUID) -> str:
    return reverse("syncs:connection", args=[pk]) + "#webhook"
