"""Redirects, fragments, and problems as answers."""

import json

import pytest
from django import forms
from django.contrib.messages import get_messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from sequin_console.common import web
from sequin_console.common.problems import Problem, field_problem


class NameForm(forms.Form):
    name = forms.CharField()
    jwt = forms.CharField(required=False)


def request_of(**headers: str) -> HttpRequest:
    request = RequestFactory().get("/x", headers=headers)
    request.htmx = HtmxDetails(request)
    request.user = User(pk=1, username="ada", role=Role.OPERATOR)
    request.session = {}
    request._messages = FallbackStorage(request)
    return request


HTMX = {"HX-Request": "true"}
BOOSTED = {"HX-Request": "true", "HX-Boosted": "true"}
RESTORED = {"HX-Request": "true", "HX-History-Restore-Request": "true"}


def test_go_to_redirects_with_a_message() -> None:
    request = request_of()
    answer = web.go_to(request, "accounts:profile", "Saved.")
    assert (answer.status_code, answer["Location"]) == (303, "/profile/")
    assert [str(message) for message in get_messages(request)] == ["Saved."]


def test_go_to_tells_htmx_to_leave_the_page() -> None:
    answer = web.go_to(request_of(**HTMX), "/x/")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/x/")


@pytest.mark.parametrize(("headers", "is_fragment"), [({}, False), (HTMX, True), (BOOSTED, False), (RESTORED, False)])
def test_a_fragment_for_htmx_a_page_for_the_rest(headers: dict[str, str], is_fragment: bool, monkeypatch) -> None:
    drawn: list[str] = []

    def render(_request: HttpRequest, template: str, context: dict, status: int) -> HttpResponse:
        drawn.append(template)
        return HttpResponse(status=status)

    monkeypatch.setattr(web, "render", render)
    answer = web.page_or_fragment(request_of(**headers), "page.html", "_part.html", {})
    assert drawn == ["_part.html" if is_fragment else "page.html"]
    assert answer["Vary"] == "HX-Request"
    assert answer.status_code == 200


@pytest.mark.parametrize(("form", "status"), [(NameForm({}), 422), (NameForm({"name": "x"}), 200), (NameForm(), 200)])
def test_a_form_with_errors_is_422(form: forms.Form, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "render", lambda _r, _t, _c, status: HttpResponse(status=status))
    assert web.page_or_fragment(request_of(), "page.html", "_part.html", {"form": form}).status_code == status


def middleware_answer(error: Exception, **headers: str) -> HttpResponse | None:
    return web.ProblemMiddleware(lambda _: HttpResponse()).process_exception(request_of(**headers), error)


@pytest.mark.django_db
def test_a_problem_is_a_page_with_what_happened_and_what_to_do() -> None:
    answer = middleware_answer(
        Problem("The sync <b>runs</b>.", next_step="Pause it first.", kind="conflict", status=409)
    )
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "The sync &lt;b&gt;runs&lt;/b&gt;." in text
    assert "Pause it first." in text


def test_a_problem_is_a_toast_for_htmx_and_the_page_stays() -> None:
    answer = middleware_answer(Problem("The sync runs.", next_step="Pause it first.", status=409), **HTMX)
    assert (answer.status_code, answer["HX-Reswap"], answer.content) == (422, "none", b"")
    toast = json.loads(answer["HX-Trigger"])["toast"]
    assert toast == {"text": "The sync runs. Pause it first.", "level": "error"}


def test_a_toast_with_any_letters_is_a_header() -> None:
    answer = middleware_answer(Problem("“Größe” \n ist falsch"), **HTMX)
    assert json.loads(answer["HX-Trigger"])["toast"]["text"].startswith("“Größe”")


@pytest.mark.django_db
def test_a_refusal_is_403_and_says_why() -> None:
    answer = middleware_answer(PermissionDenied("Your role is viewer."))
    assert answer.status_code == 403
    assert "Your role is viewer." in answer.content.decode()
    assert middleware_answer(PermissionDenied(), **HTMX).status_code == 403


def test_the_unknown_is_not_swallowed() -> None:
    assert middleware_answer(ValueError("?")) is None


def test_a_services_problem_stands_at_its_field() -> None:
    form = NameForm({"name": "x"})
    form.is_valid()
    web.form_problem(form, field_problem("nats.jwt", "This is no JWT.", next_step="Paste it whole."))
    assert form.errors == {"jwt": ["This is no JWT."], "__all__": ["Paste it whole."]}


def test_a_problem_of_no_field_stands_above_the_form() -> None:
    form = NameForm({"name": "x"})
    form.is_valid()
    web.form_problem(form, Problem("NATS did not answer.", next_step="Check the host."))
    assert form.non_field_errors() == ["NATS did not answer. Check the host."]
    other = NameForm({"name": "x"})
    other.is_valid()
    web.form_problem(other, field_problem("port", "Not a port."))
    assert other.non_field_errors() == ["port: Not a port."]
