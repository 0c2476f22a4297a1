from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "sequin_console.common"
    verbose_name = "Ground floor"
