"""Routes. Each app names its own paths from the root (`syncs/`, `connections/`, `consumers/`, `live/` …)."""

from importlib.util import find_spec
from pathlib import Path

from django.urls import include, path

from sequin_console import views

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("", include("sequin_console.accounts.urls")),
]
for _room in ("syncs.urls", "consumers.urls"):
    if find_spec(_room):
        urlpatterns.append(path("", include(_room)))
if (Path(__file__).parent / "api" / "docs.py").exists() and find_spec("syncs.api") and find_spec("consumers.api"):
    from sequin_console.api import api

    urlpatterns.append(path("v1/", api.urls))
