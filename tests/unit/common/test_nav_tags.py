"""The sidebar: which places it shows and which is current."""

from django.template import Context
from django.test import RequestFactory

from sequin_console.common.templatetags import nav_tags as tags


def urls(monkeypatch, known: dict[str, str]) -> None:
    monkeypatch.setattr(tags, "url_or_nothing", lambda view: known.get(view, ""))


def test_nav_leaves_out_places_that_do_not_exist_and_marks_the_nearest(monkeypatch):
    urls(monkeypatch, {"home": "/", "syncs:list": "/syncs/", "syncs:records": "/syncs/records/"})
    items = tags.nav_items(Context({"request": RequestFactory().get("/syncs/records/5/")}))
    assert [item.view for item in items] == ["home", "syncs:list", "syncs:records"]
    assert [item.view for item in items if item.is_current] == ["syncs:records"]


def test_home_is_current_on_its_own_page_only(monkeypatch):
    urls(monkeypatch, {"home": "/", "syncs:list": "/syncs/"})
    current = {}
    for path in ("/", "/elsewhere/"):
        items = tags.nav_items(Context({"request": RequestFactory().get(path)}))
        current[path] = [item.view for item in items if item.is_current]
    assert current == {"/": ["home"], "/elsewhere/": []}


def test_a_page_may_name_its_place(monkeypatch):
    urls(monkeypatch, {"home": "/", "syncs:list": "/syncs/"})
    items = tags.nav_items(Context({"request": RequestFactory().get("/elsewhere/"), "nav": "syncs:list"}))
    assert [item.view for item in items if item.is_current] == ["syncs:list"]


def test_keys_of_the_sidebar_are_different():
    keys = [item.key for item in tags.NAV]
    assert len(keys) == len(set(keys))
