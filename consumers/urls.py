"""Pages of consumers and the live viewer. All paths are named from the root."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from consumers.views import actions, checks, consumers, editing, fragments, live


class RecordId(StringConverter):
    """A record's id at the provider: any text at all, slashes and line breaks too."""

    regex = r"[\s\S]+"


register_converter(RecordId, "record_id")

app_name = "consumers"
urlpatterns = [
    path("consumers/", consumers.consumer_list, name="list"),
    path("consumers/new/", editing.consumer_create, name="create"),
    path("consumers/new/test/", checks.test, name="test"),
    path("consumers/new/stream/", checks.create_stream_first, name="create_stream_first"),
    path("consumers/new/facts/", editing.facts, name="facts"),
    path("consumers/new/collections/", editing.collections, name="collections"),
    path("consumers/of-sync/<uuid:sync_id>/", fragments.for_sync, name="for_sync"),
    path(
        "consumers/of-record/<uuid:sync_id>/<str:collection_id>/<record_id:upstream_id>/",
        fragments.for_record,
        name="for_record",
    ),
    path("consumers/<uuid:pk>/", consumers.consumer_detail, name="detail"),
    path("consumers/<uuid:pk>/edit/", editing.consumer_edit, name="edit"),
    path("consumers/<uuid:pk>/edit/test/", checks.test_edit, name="test_edit"),
    path("consumers/<uuid:pk>/delete/", consumers.consumer_delete, name="delete"),
    path("consumers/<uuid:pk>/checks/", checks.stored, name="checks"),
    path("consumers/<uuid:pk>/checks/run/", checks.run, name="run_checks"),
    path("consumers/<uuid:pk>/stream/", checks.create_stream, name="create_stream"),
    path("consumers/<uuid:pk>/atomic/", checks.allow_atomic, name="allow_atomic"),
    path("consumers/<uuid:pk>/pause/", actions.consumer_pause, name="pause"),
    path("consumers/<uuid:pk>/resume/", actions.consumer_resume, name="resume"),
    path("consumers/<uuid:pk>/replay/", actions.consumer_replay, name="replay"),
    path("consumers/<uuid:pk>/dismiss/", actions.dismiss_warning, name="dismiss_warning"),
    path("live/", live.live, name="live"),
    path("live/<uuid:pk>/", live.live_detail, name="live_detail"),
]
