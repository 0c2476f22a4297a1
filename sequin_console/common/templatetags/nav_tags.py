"""The places of the sidebar, and which of them a page belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

from django import template
from django.http import HttpRequest

from sequin_console.common.templatetags.console_tags import url_or_nothing

register = template.Library()


@dataclass(frozen=True)
class NavItem:
    view: str
    label: str
    icon: str
    key: str  # pressed after "g", see static/js/keys.js
    url: str = ""
    is_current: bool = False


NAV: Sequence[NavItem] = (
    NavItem("home", "Home", "home", "h"),
    NavItem("syncs:list", "Syncs", "refresh", "s"),
    NavItem("syncs:connections", "Connections", "plug-connected", "c"),
    NavItem("consumers:list", "Consumers", "send", "n"),
    NavItem("consumers:live", "Live viewer", "activity", "l"),
    NavItem("syncs:records", "Records", "database", "r"),
    NavItem("accounts:activity", "Activity", "history", "a"),
    NavItem("accounts:settings", "Settings", "settings", "t"),
)


@register.simple_tag(takes_context=True)
def nav_items(context: template.Context) -> list[NavItem]:
    """The places of the sidebar. The current one is `nav` of the context where a page sets it, else the one whose
    address starts the page's address and is longest."""
    request: HttpRequest | None = context.get("request")
    path = request.path if request else ""
    urls = {item.view: url for item in NAV if (url := url_or_nothing(item.view))}
    home = urls.get("home")
    holding = [view for view, url in urls.items() if path == url or (url != home and path.startswith(url))]
    current = context.get("nav") or max(holding, key=lambda view: len(urls[view]), default="")
    return [
        NavItem(item.view, item.label, item.icon, item.key, urls[item.view], item.view == current)
        for item in NAV
        if item.view in urls
    ]
