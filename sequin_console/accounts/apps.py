from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "sequin_console.accounts"
    verbose_name = "People and API tokens"

    def ready(self) -> None:
        from sequin_console.accounts import signals  # noqa: F401
