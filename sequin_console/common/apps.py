from django.apps import AppConfig
from django.db.backends.signals import connection_created


class CommonConfig(AppConfig):
    name = "sequin_console.common"
    verbose_name = "Ground floor"

    def ready(self) -> None:
        from sequin_console.common import postgres

        connection_created.connect(postgres.tell_session, dispatch_uid="tell session")
