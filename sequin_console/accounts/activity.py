"""What the activity page shows of the audit log."""

from typing import Any

from django.db.models import Q, QuerySet

from sequin_console.accounts.rights import Right, require
from sequin_console.common.models import AuditEvent


def activity(actor: Any, q: str = "", actor_kind: str = "", day: Any = None) -> QuerySet[AuditEvent]:
    """Entries, newest first, narrowed to a text, a kind of actor, and a last day (UTC). Admins only."""
    require(actor, Right.ADMIN)
    events = AuditEvent.objects.all()
    for word in q.split():
        events = events.filter(
            Q(actor_name__icontains=word)
            | Q(object_name__icontains=word)
            | Q(action__icontains=word)
            | Q(object_id__iexact=word)
        )
    if actor_kind:
        events = events.filter(actor_kind=actor_kind)
    if day:
        events = events.filter(at__date__lte=day)
    return events
