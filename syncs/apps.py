"""Registers the room that carries upstream APIs into the record log."""

from django.apps import AppConfig


class SyncsConfig(AppConfig):
    name = "syncs"
    verbose_name = "Syncs"
