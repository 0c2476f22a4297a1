"""What `consumers` does when `syncs` says that a log has grown, or asks whether rows may be deleted."""

from typing import Any
from uuid import UUID

import structlog

from consumers import courier
from consumers.removal import may_forget
from syncs import log as record_log

log = structlog.get_logger(__name__)


def connect() -> None:
    record_log.appended.connect(on_appended, dispatch_uid="consumers.appended")
    record_log.may_forget.connect(on_may_forget, dispatch_uid="consumers.may_forget")


def on_appended(sender: Any, *, sync_id: UUID, **_extra: Any) -> None:
    """Have it delivered. A failure is only logged: the scheduler finds lagging cursors by itself."""
    try:
        courier.note(sync_id)
    except Exception:
        log.exception("noting a grown log failed; the scheduler will find it", sync=str(sync_id))


def on_may_forget(sender: Any, *, sync_id: UUID, collection_id: str | None, removal: str, **_extra: Any) -> bool:
    """Whether every consumer is done with a sync or collection that is being removed."""
    return may_forget(sync_id, collection_id, removal)
