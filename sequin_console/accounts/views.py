"""Signing in and out, one's own profile, and for admins people, API tokens and the activity log."""

from typing import Any

from django.contrib import auth
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from sequin_console.accounts import links, sessions
from sequin_console.accounts.activity import activity as audit_log
from sequin_console.accounts.forms import ActivityFilter
from sequin_console.accounts.rights import Role
from sequin_console.common import audit, changes, web
from sequin_console.common.feeds import user_topic

# Throttled by django-axes; `login` gives the session a new key.
sign_in = LoginView.as_view(redirect_authenticated_user=True)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    user_id = request.user.pk
    auth.logout(request)
    changes.announce(user_topic(user_id))  # after the session is gone, so that her sockets see it gone
    return web.go_to(request, "accounts:sign_in")


@web.public
@never_cache
@require_safe
def link(request: HttpRequest, secret: str) -> HttpResponse:
    """Sign in by a one-time link. Only a person who follows it uses it up, not a browser or chat that looks ahead."""
    looks_ahead = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    is_part_of_page = request.headers.get("Sec-Fetch-Dest", "document") != "document"
    if request.method == "HEAD" or looks_ahead or is_part_of_page:
        return HttpResponse(status=204)
    user, problem = links.consume(secret)
    if user is not None:
        auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("home")
    if request.user.is_authenticated:
        return redirect("home")
    context = {"form": AuthenticationForm(request), "link_problem": problem}
    return render(request, "registration/login.html", context, status=410)


@never_cache
@sensitive_post_parameters()
def profile(request: HttpRequest) -> HttpResponse:
    """Her own password and open sessions. Who came by a link has no password yet and sets one."""
    user: Any = request.user  # signed in: the middleware saw to it
    form_class = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    form = form_class(user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        auth.update_session_auth_hash(request, user)
        audit.record(user, "user.password_changed", user)
        sessions.end(user, keep_key=request.session.session_key)
        return web.go_to(request, "accounts:profile", "Password saved. Other browsers were signed out.")
    context = {
        "form": form,
        "role_meaning": Role(user.role).meaning,
        "sessions": sessions.of(user, request.session.session_key),
    }
    return web.page_or_fragment(request, "accounts/profile.html", "accounts/_password.html", context)


@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    """End one of her sessions by id, or all but this one."""
    only = request.POST.get("session") or None
    ended = sessions.end(request.user, only=only, keep_key=request.session.session_key)
    audit.record(request.user, "user.sessions_ended", request.user, {"sessions": ended})
    return web.go_to(request, "accounts:profile", f"Signed out of {ended} other browser{'' if ended == 1 else 's'}.")


def activity(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first."""
    form = ActivityFilter(request.GET)
    form.is_valid()
    wanted = form.cleaned_data
    events = audit_log(request.user, wanted.get("q", ""), wanted.get("actor", ""), wanted.get("day"))
    page = web.paginate(request, events, 50)
    context = {"page": page, "filter": form, "is_filtered": any(wanted.values()), "path": reverse("accounts:activity")}
    return web.page_or_fragment(request, "accounts/activity.html", "accounts/_activity.html", context, status=200)
