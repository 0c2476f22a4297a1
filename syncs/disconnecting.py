"""A connection is forgotten: first what we registered at the provider, while its access is good, then its secrets."""

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError

from sequin_console.common import audit, changes
from sequin_console.common.problems import Problem
from syncs import webhooks
from syncs.models import Credential, Webhook


def delete_credential(credential: Credential, *, by: Any) -> None:
    """Forget a connection's secrets, and take its webhook back. Raises Problem while syncs use it."""
    if credential.syncs.exists():
        raise _in_use()
    if row := Webhook.objects.select_related("credential__oauth_app").filter(credential=credential).first():
        webhooks.remove(row, by=by)
    try:
        with transaction.atomic():
            audit.record(by, "connection.deleted", credential)
            credential.delete()
    except ProtectedError:
        raise _in_use() from None
    changes.announce("credentials")


def _in_use() -> Problem:
    step = "Delete those syncs first."
    return Problem("Syncs still use this connection.", kind="conflict", next_step=step, status=409)
