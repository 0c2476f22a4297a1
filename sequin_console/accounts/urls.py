from django.urls import path

from sequin_console.accounts import settings_views, views

app_name = "accounts"
urlpatterns = [
    path("accounts/sign-in/", views.sign_in, name="sign_in"),
    path("accounts/sign-out/", views.sign_out, name="sign_out"),
    path("accounts/link/<str:secret>/", views.link, name="link"),
    path("profile/", views.profile, name="profile"),
    path("profile/sessions/end/", views.end_sessions, name="end_sessions"),
    path("activity/", views.activity, name="activity"),
    path("settings/", settings_views.settings, name="settings"),
    path("settings/people/invite/", settings_views.invite, name="invite"),
    path("settings/people/<int:pk>/link/", settings_views.new_link, name="new_link"),
    path("settings/people/<int:pk>/role/", settings_views.change_role, name="change_role"),
    path("settings/people/<int:pk>/deactivate/", settings_views.deactivate, name="deactivate"),
    path("settings/people/<int:pk>/activate/", settings_views.activate, name="activate"),
    path("settings/tokens/create/", settings_views.create_token, name="create_token"),
    path("settings/tokens/<int:pk>/revoke/", settings_views.revoke_token, name="revoke_token"),
]
