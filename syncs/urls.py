"""Pages of connections, syncs and records. All paths are named from the root."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from syncs.views import (
    collection,
    connect,
    connections,
    custom,
    hooks,
    oauth_apps,
    records,
    redirects,
    sync_actions,
    syncs,
    webhook,
    wizard,
)


class UpstreamId(StringConverter):
    """A record's id at the provider: any text at all, slashes and line breaks too."""

    regex = r"[\s\S]+"


register_converter(UpstreamId, "upstream_id")

app_name = "syncs"
urlpatterns = [
    path("connections/", connections.connections, name="connections"),
    path("connections/new/", connect.connect, name="connect"),
    path("connections/new/<slug:provider_key>/", connect.connect_provider, name="connect_provider"),
    path("connections/new/<slug:provider_key>/sign-in/", redirects.oauth_begin, name="oauth_begin"),
    path("connections/callback/<slug:provider_key>/", redirects.oauth_callback, name="oauth_callback"),
    path("connections/sites/<str:token>/", redirects.oauth_sites, name="oauth_sites"),
    path("connections/start/<str:token>/", redirects.oauth_start, name="oauth_start"),
    path("connections/oauth-apps/new/<slug:provider_key>/", oauth_apps.oauth_app_create, name="oauth_app_create"),
    path("connections/oauth-apps/<uuid:pk>/", oauth_apps.oauth_app_edit, name="oauth_app_edit"),
    path("connections/oauth-apps/<uuid:pk>/delete/", oauth_apps.oauth_app_delete, name="oauth_app_delete"),
    path("connections/described/", custom.custom_providers, name="custom_providers"),
    path("connections/described/new/", custom.custom_provider_create, name="custom_provider_create"),
    path("connections/described/try/", custom.custom_provider_try, name="custom_provider_try"),
    path("connections/described/import/", custom.custom_provider_import, name="custom_provider_import"),
    path("connections/described/<uuid:pk>/", custom.custom_provider_edit, name="custom_provider_edit"),
    path("connections/described/<uuid:pk>/export/", custom.custom_provider_export, name="custom_provider_export"),
    path("connections/described/<uuid:pk>/delete/", custom.custom_provider_delete, name="custom_provider_delete"),
    path("connections/<uuid:pk>/", connections.connection, name="connection"),
    path("connections/<uuid:pk>/test/", connections.connection_test, name="connection_test"),
    path("connections/<uuid:pk>/rename/", connections.connection_rename, name="connection_rename"),
    path("connections/<uuid:pk>/reconnect/", connections.connection_reconnect, name="connection_reconnect"),
    path("connections/<uuid:pk>/sign-in/", redirects.oauth_again, name="oauth_again"),
    path("connections/<uuid:pk>/delete/", connections.connection_delete, name="connection_delete"),
    path("connections/<uuid:pk>/webhook/", webhook.webhook, name="webhook"),
    path("connections/<uuid:pk>/webhook/set-up/", webhook.webhook_set_up, name="webhook_set_up"),
    path("connections/<uuid:pk>/webhook/secret/", webhook.webhook_secret, name="webhook_secret"),
    path("connections/<uuid:pk>/webhook/remove/", webhook.webhook_remove, name="webhook_remove"),
    path("connections/<uuid:pk>/change-events/", webhook.change_events, name="change_events"),
    path("connections/<uuid:pk>/fields/<str:collection_id>/", connections.collection_fields, name="collection_fields"),
    path("syncs/", syncs.sync_list, name="list"),
    path("syncs/new/", wizard.create, name="create"),
    path("syncs/new/<uuid:credential_id>/", wizard.create_pick, name="create_pick"),
    path("syncs/new/<uuid:credential_id>/sizes/", wizard.create_sizes, name="create_sizes"),
    path("syncs/new/<uuid:credential_id>/start/", wizard.create_start, name="create_start"),
    path("syncs/<uuid:pk>/", syncs.sync_detail, name="detail"),
    path("syncs/<uuid:pk>/edit/", syncs.sync_edit, name="edit"),
    path("syncs/<uuid:pk>/delete/", syncs.sync_delete, name="delete"),
    path("syncs/<uuid:pk>/pause/", sync_actions.sync_pause, name="pause"),
    path("syncs/<uuid:pk>/resume/", sync_actions.sync_resume, name="resume"),
    path("syncs/<uuid:pk>/look/", sync_actions.sync_look, name="look"),
    path("syncs/<uuid:pk>/read-again/", sync_actions.sync_read_again, name="read_again"),
    path("syncs/<uuid:pk>/collections/<int:row>/", collection.collection, name="collection"),
    path("syncs/<uuid:pk>/collections/<int:row>/fields/", collection.pick_fields, name="pick_fields"),
    path("syncs/<uuid:pk>/collections/<int:row>/accept-schema/", collection.accept_schema, name="accept_schema"),
    path("syncs/<uuid:pk>/collections/<int:row>/deletes/", sync_actions.decide_deletes, name="decide_deletes"),
    path("hooks/<slug:provider_key>/<str:path>/", hooks.hook, name="hook"),
    path("records/", records.record_list, name="records"),
    path("records/<uuid:sync_id>/<str:collection_id>/<upstream_id:upstream_id>/", records.record, name="record"),
]
