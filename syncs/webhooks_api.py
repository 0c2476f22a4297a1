"""Routes of near real time under /v1/webhooks. Thin: webhooks.py does the work."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from sequin_console.accounts.rights import Right, may
from sequin_console.common.problems import Problem
from sequin_console.common.rest import actor, get_or_404
from syncs import hook_rows, webhooks
from syncs.models import Credential, Webhook
from syncs.schemas.webhooks import WebhookOut, WebhookPatch

router = Router()


@router.post("/{uuid:credential_id}", response=WebhookOut, summary="Set up a webhook")
def set_up_webhook(request: HttpRequest, credential_id: UUID) -> WebhookOut:
    """Give a credential an address for deliveries, and register it at the provider where its API lets us.

    Where it does not, `steps` say how to set it up by hand. Called again, it tries again; the address stays.
    """
    rows = Credential.objects.editable_by(actor(request)).select_related("oauth_app")
    webhooks.set_up(get_or_404(rows, pk=credential_id), by=actor(request))
    return _out(actor(request), credential_id)


@router.get("/{uuid:credential_id}", response=WebhookOut, summary="Get a webhook")
def get_webhook(request: HttpRequest, credential_id: UUID) -> WebhookOut:
    """How a credential's webhook is doing: when it last told of something, and what to do if it does not."""
    Credential.objects.visible_to(actor(request))
    return _out(actor(request), credential_id)


@router.patch("/{uuid:credential_id}", response=WebhookOut, summary="Give a webhook its signing secret")
def update_webhook(request: HttpRequest, credential_id: UUID, body: WebhookPatch) -> WebhookOut:
    """Keep the secret that the provider signs with. Only where the provider makes it; ours is there already."""
    Credential.objects.editable_by(actor(request))
    row = _row(credential_id)
    if webhooks.way_of(row.credential).secret is None:
        raise Problem("The signing secret is ours here: paste it at the provider.", kind="conflict", status=409)
    webhooks.keep_secret(row, body.secret, by=actor(request))
    return _out(actor(request), credential_id)


@router.delete("/{uuid:credential_id}", response={204: None}, summary="Remove a webhook")
def delete_webhook(request: HttpRequest, credential_id: UUID) -> None:
    """Take the address away, and its registration at the provider. Syncs go on looking at their interval."""
    Credential.objects.editable_by(actor(request))
    webhooks.remove(_row(credential_id), by=actor(request))


def _row(credential_id: UUID) -> Webhook:
    return get_or_404(Webhook.objects.select_related("credential__oauth_app"), credential_id=credential_id)


def _out(who: Any, credential_id: UUID) -> WebhookOut:
    credential = _row(credential_id).credential
    hook = hook_rows.hook_row(credential, hook_rows.last_change(credential))
    if hook is None:
        raise Problem("This provider has no webhooks.", kind="not_found", status=404)
    return WebhookOut.with_address(hook, is_shown=may(who, Right.OPERATE))
