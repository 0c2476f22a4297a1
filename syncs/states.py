"""The states things can be in, how each is shown, and what a sync may become."""

from django.db import models


class CredentialState(models.TextChoices):
    OK = "ok", "Connected"
    REFRESHING = "refreshing", "Renewing access"
    RECONNECT = "reconnect", "Needs reconnecting"


class HookState(models.TextChoices):
    """How near real time is doing, for one connection."""

    UNSIGNED = "unsigned", "Needs its signing secret"
    WAITING = "waiting", "Waiting for its first event"
    RECEIVING = "receiving", "Receiving"
    SILENT = "silent", "Silent"
    REFUSED = "refused", "Wrong signature"
    ENDED = "ended", "Ended"


class StreamState(models.TextChoices):
    """How a connection that is held open for change events is doing."""

    CONNECTING = "connecting", "Connecting"
    LISTENING = "listening", "Listening"
    ABSENT = "absent", "Not offered"
    INTERRUPTED = "interrupted", "Interrupted"
    IDLE = "idle", "Not listening"


class SyncState(models.TextChoices):
    ACTIVE = "active", "Running"
    PAUSED = "paused", "Paused"
    REMOVING = "removing", "Being removed"


class Phase(models.TextChoices):
    WAITING = "waiting", "Waiting to start"
    BACKFILLING = "backfilling", "Reading history"
    LIVE = "live", "Live"
    ERROR = "error", "Stopped"
    REMOVING = "removing", "Being removed"


class Removal(models.TextChoices):
    """What becomes of messages already on the stream when a sync or collection goes."""

    LEAVE = "leave", "Leave the messages where they are"
    TOMBSTONES = "tombstones", "Mark every record as deleted"
    PURGE = "purge", "Remove the messages from the stream"


class OnDrift(models.TextChoices):
    """What to do when a collection's fields change."""

    CARRY_ON = "carry_on", "Carry on"
    TELL = "tell", "Tell me"
    STOP = "stop", "Stop and ask"


COLOURS = {
    CredentialState.OK: "green",
    CredentialState.REFRESHING: "azure",
    CredentialState.RECONNECT: "red",
    HookState.UNSIGNED: "orange",
    HookState.WAITING: "azure",
    HookState.RECEIVING: "green",
    HookState.SILENT: "orange",
    HookState.REFUSED: "red",
    HookState.ENDED: "red",
    StreamState.CONNECTING: "azure",
    StreamState.LISTENING: "green",
    StreamState.ABSENT: "secondary",
    StreamState.INTERRUPTED: "orange",
    StreamState.IDLE: "secondary",
    SyncState.ACTIVE: "green",
    SyncState.PAUSED: "secondary",
    SyncState.REMOVING: "orange",
    Phase.WAITING: "secondary",
    Phase.BACKFILLING: "azure",
    Phase.LIVE: "green",
    Phase.ERROR: "red",
    Phase.REMOVING: "orange",
}

ICONS = {
    CredentialState.OK: "circle-check",
    CredentialState.REFRESHING: "refresh",
    CredentialState.RECONNECT: "plug-connected-x",
    HookState.UNSIGNED: "key",
    HookState.WAITING: "clock",
    HookState.RECEIVING: "bolt",
    HookState.SILENT: "alert-triangle",
    HookState.REFUSED: "alert-triangle",
    HookState.ENDED: "alert-triangle",
    StreamState.CONNECTING: "refresh",
    StreamState.LISTENING: "bolt",
    StreamState.ABSENT: "history",
    StreamState.INTERRUPTED: "alert-triangle",
    StreamState.IDLE: "player-pause",
    SyncState.ACTIVE: "circle-check",
    SyncState.PAUSED: "player-pause",
    SyncState.REMOVING: "trash",
    Phase.WAITING: "clock",
    Phase.BACKFILLING: "history",
    Phase.LIVE: "circle-check",
    Phase.ERROR: "alert-triangle",
    Phase.REMOVING: "trash",
}

SYNC_TRANSITIONS = {
    SyncState.ACTIVE: {SyncState.PAUSED, SyncState.REMOVING},
    SyncState.PAUSED: {SyncState.ACTIVE, SyncState.REMOVING},
    SyncState.REMOVING: set(),
}
