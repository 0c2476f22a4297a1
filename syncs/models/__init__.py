"""What is stored of the upstream half: connections, syncs, and the record log they end in."""

from syncs.models.connections import (
    NO_SYNC,
    ChangeStream,
    Credential,
    CustomProvider,
    OAuthApp,
    PendingConnection,
    Purpose,
    RequestCount,
    Webhook,
)
from syncs.models.records import HashKey, Operation, Record, RecordChange, RecordKey, SeenBy, SweptId, SyncHead
from syncs.models.syncs import Feed, Hint, SchemaChange, Sync, SyncCollection

__all__ = [
    "NO_SYNC",
    "ChangeStream",
    "Credential",
    "CustomProvider",
    "Feed",
    "HashKey",
    "Hint",
    "OAuthApp",
    "Operation",
    "PendingConnection",
    "Purpose",
    "Record",
    "RecordChange",
    "RecordKey",
    "RequestCount",
    "SchemaChange",
    "SeenBy",
    "SweptId",
    "Sync",
    "SyncCollection",
    "SyncHead",
    "Webhook",
]
