"""The states a consumer can be in, and how each is shown."""

from django.db import models

from sequin_console.common.states import State


class ConsumerState(State):
    ACTIVE = "active", "green", "circle-check", "Delivering"
    PAUSED = "paused", "secondary", "player-pause", "Paused"
    ERROR = "error", "red", "alert-triangle", "In trouble"
    REMOVING = "removing", "orange", "trash", "Being removed"


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


DELIVERING = (ConsumerState.ACTIVE, ConsumerState.ERROR)
"""States in which records go out; one in trouble keeps trying, with back-off."""

DRAINING = (*DELIVERING, ConsumerState.REMOVING)
"""The same, and a consumer that still has tombstones to send before it goes."""
