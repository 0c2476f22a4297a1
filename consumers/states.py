"""The states a consumer can be in, and how each is shown."""

from django.db import models


class ConsumerState(models.TextChoices):
    ACTIVE = "active", "Delivering"
    PAUSED = "paused", "Paused"
    ERROR = "error", "In trouble"
    REMOVING = "removing", "Being removed"


class DeliverPolicy(models.TextChoices):
    ALL = "all", "From the beginning"
    NEW = "new", "From now on"


class Promise(models.TextChoices):
    """What delivery can promise, given the stream (DESIGN.md, Delivery)."""

    UNKNOWN = "", "Not known yet"
    FENCED = "fenced", "Exactly once into the stream"
    BASIC = "basic", "At least once"


class Messages(models.TextChoices):
    """What becomes of the messages on the stream when a consumer goes. Same words as a sync's removal."""

    LEAVE = "leave", "Leave the messages where they are"
    TOMBSTONES = "tombstones", "Mark every record as deleted"
    PURGE = "purge", "Remove the messages from the stream"


COLOURS = {
    ConsumerState.ACTIVE: "green",
    ConsumerState.PAUSED: "secondary",
    ConsumerState.ERROR: "red",
    ConsumerState.REMOVING: "orange",
}

ICONS = {
    ConsumerState.ACTIVE: "circle-check",
    ConsumerState.PAUSED: "player-pause",
    ConsumerState.ERROR: "alert-triangle",
    ConsumerState.REMOVING: "trash",
}

DELIVERING = (ConsumerState.ACTIVE, ConsumerState.ERROR)
"""States in which records go out; one in trouble keeps trying, with back-off."""

DRAINING = (*DELIVERING, ConsumerState.REMOVING)
"""The same, and a consumer that still has tombstones to send before it goes."""
