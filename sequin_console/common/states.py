"""States that know how they are shown."""

from typing import Self

from django.db import models


class State(models.TextChoices):
    """Choices written as value, colour, icon, label. Two kinds may share a value, and still look each its own way."""

    colour: str
    icon: str

    def __new__(cls, value: str, colour: str = "", icon: str = "") -> Self:
        state = str.__new__(cls, value)
        state._value_, state.colour, state.icon = value, colour, icon
        return state
