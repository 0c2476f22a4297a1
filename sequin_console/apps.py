from django.apps import AppConfig


class SequinConsoleConfig(AppConfig):
    name = "sequin_console"
    verbose_name = "Sequin Console"

    def ready(self) -> None:
        from sequin_console import checks  # noqa: F401
