"""What every page is drawn with: icons, states, times and numbers in words, and the reusable parts.

The parts' markup lives in `templates/parts/`; its README shows each one in use.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from django import forms, template
from django.forms.boundfield import BoundWidget
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

MISSING = "–"

# --- Icons and marks -------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """An icon of the sprite. Silent to screen readers, unless `label` says what it means."""
    spoken: str | SafeString = mark_safe('aria-hidden="true"')
    if label:
        spoken = format_html('role="img" aria-label="{}"', label)
    return format_html(
        '<svg class="icon {}" {} focusable="false"><use href="{}#{}"/></svg>',
        css,
        spoken,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def provider_mark(key: str, size: int = 32) -> SafeString:
    """A provider's mark (`static/img/providers/<key>.svg`); decorative, the name stands beside it."""
    source = static(f"img/providers/{'custom' if key.startswith('custom-') else key}.svg")
    return format_html('<img class="provider-mark" src="{}" width="{}" height="{}" alt="">', source, size, size)


# --- States ----------------------------------------------------------------------------------------------------------

COLOUR_ICONS = {
    "green": "circle-check",
    "blue": "rotate-clockwise",
    "azure": "info-circle",
    "yellow": "alert-triangle",
    "orange": "alert-triangle",
    "red": "alert-circle",
    "secondary": "circle-dashed",
}
# How a state's bare value looks when its choice does not say so itself.
VALUE_LOOKS = {
    "ok": ("green", "circle-check"),
    "active": ("green", "circle-check"),
    "live": ("green", "broadcast"),
    "healthy": ("green", "circle-check"),
    "passed": ("green", "circle-check"),
    "running": ("blue", "rotate-clockwise"),
    "backfilling": ("blue", "cloud-download"),
    "refreshing": ("blue", "rotate-clockwise"),
    "starting": ("blue", "loader-2"),
    "waiting": ("secondary", "hourglass"),
    "paused": ("secondary", "player-pause"),
    "disabled": ("secondary", "circle-minus"),
    "skipped": ("secondary", "circle-minus"),
    "deleted": ("secondary", "trash"),
    "expired": ("secondary", "clock"),
    "removing": ("orange", "trash"),
    "warning": ("yellow", "alert-triangle"),
    "limited": ("yellow", "hourglass"),
    "reconnect": ("orange", "unlink"),
    "missing_rights": ("orange", "lock"),
    "error": ("red", "alert-circle"),
    "failed": ("red", "circle-x"),
}


def _part(subject: Any, name: str) -> Any:
    return subject.get(name) if isinstance(subject, Mapping) else getattr(subject, name, None)


@register.inclusion_tag("parts/status.html")
def status(subject: Any, label: str = "", colour: str = "", icon: str = "") -> dict[str, str]:
    """A state as icon, word and colour.

    subject   an object or dict with a `status`, `state` or `phase` (its look from `state_colour`, `state_icon` and
              `get_state_display` where it has them); or a choice; or a bare value
    The other arguments win over what the subject says.
    """
    name = next((n for n in ("status", "state", "phase") if _part(subject, n)), "")
    choice = _part(subject, name) if name else subject
    value = str(getattr(choice, "value", choice))
    display = getattr(subject, f"get_{name}_display", None)
    words = display() if display else getattr(choice, "label", "") or value.replace("_", " ").capitalize()
    known_colour, known_icon = VALUE_LOOKS.get(value, ("", ""))
    colour = colour or _part(subject, f"{name}_colour") or getattr(choice, "colour", "") or known_colour or "secondary"
    icon = icon or _part(subject, f"{name}_icon") or getattr(choice, "icon", "") or known_icon
    return {
        "label": label or str(words),
        "colour": colour,
        "icon": icon or COLOUR_ICONS.get(colour, "circle-dashed"),
        "value": value,
    }


# --- Times and numbers -----------------------------------------------------------------------------------------------

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def relative_words(moment: datetime, now: datetime) -> str:
    """How far `moment` is from `now`, in words; a date beyond a week. `relativeWords` in console.js says the same."""
    ahead_s = (moment - now).total_seconds()
    distance_s = abs(ahead_s)
    if distance_s < 5:
        return "just now"
    if distance_s >= 7 * DAY_S:
        return f"{moment:%-d %b %Y}"
    units = (("day", DAY_S), ("hour", HOUR_S), ("minute", MINUTE_S), ("second", 1))
    unit, size_s = next(pair for pair in units if distance_s >= pair[1])
    words = plural(int(distance_s // size_s), unit)
    return f"in {words}" if ahead_s > 0 else f"{words} ago"


def plural(count: int, unit: str) -> str:
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


@register.simple_tag
def reltime(moment: datetime | None, missing: str = "never") -> SafeString | str:
    """A moment as "3 minutes ago", kept true by console.js; exact UTC in the title."""
    if moment is None:
        return missing
    moment = moment.astimezone(UTC)
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    words = relative_words(moment, timezone.now())
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.isoformat(timespec="milliseconds"),
        exact,
        words,
    )


@register.simple_tag
def number(value: float | None, unit: str = "", places: int = 0) -> str:
    """A number with its thousands apart, and its unit where given: `12,345`, `1 record`, `2 records`."""
    if value is None:
        return MISSING
    digits = f"{value:,.{places}f}"
    if not unit:
        return digits
    return f"{digits} {unit}" if value == 1 else f"{digits} {unit}s"


@register.simple_tag
def duration(seconds: float | None) -> str:
    """A length of time by its two largest units: `850 ms`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    whole_s = round(seconds)
    for size_s, name, next_size_s, next_name in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
        (MINUTE_S, "min", 1, "s"),
    ):
        if whole_s >= size_s:
            large, rest_s = divmod(whole_s, size_s)
            small = rest_s // next_size_s
            return f"{large} {name} {small} {next_name}" if small else f"{large} {name}"
    return f"{whole_s} s"


@register.simple_tag(name="bytes")
def size(count: float | None) -> str:
    """A size in decimal units: `512 B`, `1.2 kB`, `34 MB`."""
    if count is None:
        return MISSING
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:,.0f} {unit}"


@register.simple_tag
def percent(part: float | None, whole: float | None) -> int:
    """How much of the whole is done, 0 to 100; 100 only when all of it is."""
    if not part or not whole:
        return 0
    return 100 if part >= whole else min(99, int(part * 100 / whole))


# --- JSON documents --------------------------------------------------------------------------------------------------

JSON_TOKENS = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)'
)
TOP_KEY = re.compile(r'^  "((?:[^"\\]|\\.)*)":')


def _coloured(line: str) -> SafeString:
    """One line of JSON text, escaped, each token in a span that names its kind."""
    out, end = [], 0
    for token in JSON_TOKENS.finditer(line):
        out.append(conditional_escape(line[end : token.start()]))
        kind = "key" if token["colon"] else next(k for k in ("string", "number", "word") if token[k])
        text = token["string"] if token["colon"] else token[0]
        out.append(format_html('<span class="json-{}">{}</span>{}', kind, text, token["colon"] or ""))
        end = token.end()
    out.append(conditional_escape(line[end:]))
    return mark_safe("".join(out))  # every piece was escaped above


@register.inclusion_tag("parts/json.html")
def json_view(document: Any, changed: Iterable[str] = (), label: str = "Document") -> dict[str, Any]:
    """A JSON document, indented and coloured; a text keeps its numbers digit for digit.

    document   JSON text or bytes as stored, or plain Python data
    changed    top-level keys to mark as changed
    """
    text = document.encode() if isinstance(document, str) else document
    if not isinstance(text, bytes):
        text = json.dumps(document, ensure_ascii=False, default=str).encode()
    try:
        pretty = msgspec.json.format(text, indent=2).decode(errors="replace")
    except msgspec.DecodeError:
        pretty = text.decode(errors="replace")  # not JSON: shown as it is
    marked, lines, is_changed = set(changed), [], False
    for line in pretty.split("\n"):
        if key := TOP_KEY.match(line):
            is_changed = key[1] in marked
        elif line in ("{", "}"):
            is_changed = False
        lines.append((is_changed, _coloured(line)))
    return {"lines": lines, "label": label, "text": pretty}


# --- Form controls ---------------------------------------------------------------------------------------------------


@register.filter
def control(field: forms.BoundField) -> SafeString:
    """The field's widget with the classes its kind needs."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput | forms.RadioSelect | forms.CheckboxSelectMultiple):
        css = "form-check-input"
    elif isinstance(widget, forms.Select):
        css = "form-select"
    else:
        css = "form-control"
    given = widget.attrs.get("class", "")
    invalid = "is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": " ".join(filter(None, (css, given, invalid)))})


@register.filter
def choice_control(choice: BoundWidget) -> SafeString:
    """One radio button or checkbox of a field that has several."""
    choice.data["attrs"] = {**choice.data["attrs"], "class": "form-check-input"}
    return choice.tag()


@register.filter
def kind(field: forms.BoundField) -> str:
    """`check`, `choices`, `hidden` or `text`: how parts/field.html lays the field out."""
    widget = field.field.widget
    if widget.is_hidden:
        return "hidden"
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return "choices"
    return "check" if isinstance(widget, forms.CheckboxInput) else "text"


# --- Parts that hold other markup ------------------------------------------------------------------------------------


@register.simple_block_tag
def card(
    content: str, title: str = "", text: str = "", icon: str = "", flush: bool = False, id: str = ""
) -> SafeString:
    """A card. `flush` for a table or list that touches the edges."""
    context = {"content": content, "title": title, "text": text, "icon": icon, "flush": flush, "id": id}
    return render_to_string("parts/card.html", context)


@register.simple_block_tag
def dialog(content: str, id: str, title: str, wide: bool = False, open: bool = False) -> SafeString:
    """A dialog with a title and a close button; its content is usually one form."""
    return render_to_string(
        "parts/dialog.html", {"content": content, "id": id, "title": title, "wide": wide, "open": open}
    )


@register.simple_block_tag
def problem(content: str, what: str, next_step: str = "", level: str = "error", since: Any = None) -> SafeString:
    """What happened and what to do; the block holds buttons or technical details."""
    # strip() forgets that the block was rendered, hence escaped, already
    context = {
        "content": mark_safe(content.strip()),
        "what": what,
        "next_step": next_step,
        "level": level,
        "since": since,
    }
    return render_to_string("parts/problem.html", context)


@register.inclusion_tag("parts/stepper.html")
def stepper(*steps: str, current: int = 1) -> dict[str, Any]:
    """Where a person stands in a task of several steps; `current` counts from 1."""
    return {
        "steps": [
            {"number": n, "label": label, "is_done": n < current, "is_current": n == current}
            for n, label in enumerate(steps, start=1)
        ]
    }


@register.simple_tag(takes_context=True)
def with_query(context: template.Context, **changes: Any) -> str:
    """This page's query string with some values changed; an empty value drops its key: `?{% with_query page=2 %}`."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        query.pop(key, None)
        if value not in (None, ""):
            query[key] = str(value)
    return query.urlencode()


@register.simple_tag
def url_or_nothing(view: str) -> str:
    """The view's address, or nothing where this console has no such page."""
    try:
        return reverse(view)
    except NoReverseMatch:
        return ""
