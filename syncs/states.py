"""The states things can be in, how each is shown, and what a sync may become."""

from django.db import models

from sequin_console.common.states import State


class CredentialState(State):
    OK = "ok", "green", "circle-check", "Connected"
    REFRESHING = "refreshing", "azure", "refresh", "Renewing access"
    RECONNECT = "reconnect", "red", "plug-connected-x", "Needs reconnecting"


class HookState(State):
    """How near real time is doing, for one connection."""

    UNSIGNED = "unsigned", "orange", "key", "Needs its signing secret"
    WAITING = "waiting", "azure", "clock", "Waiting for its first event"
    RECEIVING = "receiving", "green", "bolt", "Receiving"
    SILENT = "silent", "orange", "alert-triangle", "Silent"
    REFUSED = "refused", "red", "alert-triangle", "Wrong signature"
    ENDED = "ended", "red", "alert-triangle", "Ended"


class StreamState(State):
    """How a connection that is held open for change events is doing."""

    CONNECTING = "connecting", "azure", "refresh", "Connecting"
    LISTENING = "listening", "green", "bolt", "Listening"
    ABSENT = "absent", "secondary", "history", "Not offered"
    INTERRUPTED = "interrupted", "orange", "alert-triangle", "Interrupted"
    IDLE = "idle", "secondary", "player-pause", "Not listening"


class SyncState(State):
    ACTIVE = "active", "green", "circle-check", "Running"
    PAUSED = "paused", "secondary", "player-pause", "Paused"
    REMOVING = "removing", "orange", "trash", "Being removed"


class Phase(State):
    WAITING = "waiting", "secondary", "clock", "Waiting to start"
    BACKFILLING = "backfilling", "azure", "history", "Reading history"
    LIVE = "live", "green", "circle-check", "Live"
    ERROR = "error", "red", "alert-triangle", "Stopped"
    REMOVING = "removing", "orange", "trash", "Being removed"


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


SYNC_TRANSITIONS = {
    SyncState.ACTIVE: {SyncState.PAUSED, SyncState.REMOVING},
    SyncState.PAUSED: {SyncState.ACTIVE, SyncState.REMOVING},
    SyncState.REMOVING: set(),
}
