"""Routes. Each app names its own paths from the root (`syncs/`, `connections/`, `consumers/`, `live/` …)."""

from django.urls import include, path

from sequin_console import views
from sequin_console.api import api

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("", include("sequin_console.accounts.urls")),
    path("", include("syncs.urls")),
    path("", include("consumers.urls")),
    path("v1/", api.urls),
]

handler500 = "sequin_console.views.server_error"
