"""The activity log: who changed what, when and from where. Secrets never enter it."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any

from sequin_console.common import changes as pages
from sequin_console.common.models import AuditEvent
from sequin_console.logs import SECRET_WORDS

LONGEST_VALUE = 500
TOPIC = "activity"

client_ip: ContextVar[str | None] = ContextVar("client_ip", default=None)  # set for each request by the middleware


def record(by: Any, action: str, obj: Any = None, changes: Mapping[str, Any] | None = None) -> AuditEvent:
    """Write one entry, in the caller's transaction: a change and its entry stand or fall together.

    by       the User or ApiToken who did it; None when the console did it by itself
    action   object and past participle: `sync.created`
    obj      the model instance it was done to, if any
    changes  field to new value, or to [old, new]; secret-looking names are dropped
    """
    event = AuditEvent.objects.create(
        **_actor(by), **_object(obj), action=action, changes=clean(changes or {}), ip=_ip()
    )
    pages.announce(TOPIC)
    return event


def _actor(by: Any) -> dict[str, Any]:
    if by is None:
        return {"actor_kind": AuditEvent.ActorKind.SYSTEM, "actor_name": "Console"}
    if by._meta.model_name == "user":
        return {"actor_kind": AuditEvent.ActorKind.USER, "actor_name": by.actor_name[:150], "user": by}
    return {"actor_kind": AuditEvent.ActorKind.TOKEN, "actor_name": by.actor_name[:150]}


def _object(obj: Any) -> dict[str, str]:
    if obj is None:
        return {}
    name = getattr(obj, "name", "") or getattr(obj, "actor_name", "") or str(obj)
    return {"object_kind": obj._meta.model_name, "object_id": str(obj.pk), "object_name": str(name)[:200]}


def _ip() -> str | None:
    """The address of the request at hand; a Unix socket or a proxy may give none, or nonsense."""
    try:
        return str(ip_address(client_ip.get() or ""))
    except ValueError:
        return None


def clean(value: Any) -> Any:
    """The value as plain JSON: secret-looking keys dropped at any depth, long texts cut."""
    if isinstance(value, Mapping):
        return {str(key): clean(inner) for key, inner in value.items() if not _is_secret(str(key))}
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [clean(inner) for inner in value]
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)
