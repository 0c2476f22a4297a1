"""Registers the room that carries the record log to NATS JetStream."""

from django.apps import AppConfig


class ConsumersConfig(AppConfig):
    name = "consumers"
    verbose_name = "Consumers"

    def ready(self) -> None:
        from consumers import listeners

        listeners.connect()
