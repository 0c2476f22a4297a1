"""The tags every page is drawn with: what they say, and that they escape."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.conf import settings
from django.template import Context, Template
from django.test import RequestFactory

from consumers.states import ConsumerState
from sequin_console.common.states import State
from sequin_console.common.templatetags import console_tags as tags
from sequin_console.common.templatetags import nav_tags
from syncs.states import HookState, Phase

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROOT = Path(settings.BASE_DIR)
ICON_USES = re.compile(r'{% icon "([^"]+)"|icon="([^"]+)"')


def render(source: str, **context: object) -> str:
    return Template("{% load console_tags %}" + source).render(Context(context))


# --- Times and numbers ---


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-4), "just now"),
        (timedelta(seconds=-42), "42 seconds ago"),
        (timedelta(seconds=-60), "1 minute ago"),
        (timedelta(seconds=-119), "1 minute ago"),
        (timedelta(hours=-5), "5 hours ago"),
        (timedelta(days=-6, hours=-23), "6 days ago"),
        (timedelta(days=-8), "15 Nov 2026"),
        (timedelta(minutes=5), "in 5 minutes"),
        (timedelta(days=30), "23 Dec 2026"),
    ],
)
def test_relative_words_say_how_far_a_moment_is(ahead, words):
    assert tags.relative_words(NOW + ahead, NOW) == words


def test_reltime_carries_exact_utc_in_its_title_whatever_the_zone():
    moment = datetime(2020, 1, 2, 4, 4, 5, tzinfo=ZoneInfo("Europe/Berlin"))
    html = tags.reltime(moment)
    assert 'title="2020-01-02 03:04:05 UTC"' in html
    assert 'datetime="2020-01-02T03:04:05.000+00:00"' in html
    assert ">2 Jan 2020<" in html


def test_reltime_of_nothing_is_a_word():
    assert tags.reltime(None) == "never"
    assert tags.reltime(None, missing="not yet") == "not yet"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((12345,), "12,345"),
        ((0,), "0"),
        ((None,), "–"),
        ((1, "record"), "1 record"),
        ((1200, "record"), "1,200 records"),
        ((3.14159, "", 2), "3.14"),
    ],
)
def test_number_sets_thousands_apart(arguments, words):
    assert tags.number(*arguments) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.85, "850 ms"),
        (42, "42 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_duration_uses_its_two_largest_units(seconds, words):
    assert tags.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (34_000_000, "34 MB"),
        (999_600, "1.0 MB"),
    ],
)
def test_bytes_are_in_decimal_units(count, words):
    assert tags.size(count) == words
    assert render("{% bytes n %}", n=count) == words


@pytest.mark.parametrize(
    ("part", "whole", "done"),
    [(0, 10, 0), (5, 10, 50), (9999, 10000, 99), (10, 10, 100), (12, 10, 100), (None, None, 0)],
)
def test_percent_is_100_only_when_all_is_done(part, whole, done):
    assert tags.percent(part, whole) == done


# --- States and icons ---


def test_icon_is_silent_unless_it_has_a_label():
    assert 'aria-hidden="true"' in tags.icon("plus")
    assert 'role="img" aria-label="Done"' in tags.icon("check", label="Done")


def test_icon_escapes_what_it_is_given():
    assert "<script>" not in tags.icon("plus", label="<script>")


def test_status_shows_icon_word_and_colour():
    html = render('{% status "missing_rights" %}')
    assert "status-orange" in html
    assert "#lock" in html
    assert "Missing rights" in html


def test_status_takes_the_look_its_object_states():
    phase = SimpleNamespace(
        phase="live", phase_colour="azure", phase_icon="broadcast", get_phase_display=lambda: "Up to date"
    )
    html = render("{% status thing %}", thing=phase)
    assert "status-azure" in html
    assert "#broadcast" in html
    assert "Up to date" in html


def test_kinds_that_share_a_value_look_each_its_own_way():
    assert (HookState.WAITING.colour, Phase.WAITING.colour) == ("azure", "secondary")
    html = render("{% status thing %}", thing=SimpleNamespace(state=HookState.WAITING))
    assert "status-azure" in html
    assert "Waiting for its first event" in html


def test_status_reads_dicts_and_arguments_win():
    html = render('{% status check label="Fine" colour="blue" %}', check={"state": "passed"})
    assert "status-blue" in html
    assert "Fine" in html
    assert "#circle-check" in html


def test_status_of_an_unknown_value_is_grey_and_escaped():
    html = render("{% status value %}", value="<b>odd</b>")
    assert "status-secondary" in html
    assert "<b>" not in html


def test_sprite_has_every_icon_that_pages_and_states_name():
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/img/icons.svg").read_text()))
    named = {icon for _, icon in tags.VALUE_LOOKS.values()} | set(tags.COLOUR_ICONS.values())
    named |= {item.icon for item in nav_tags.NAV}
    for page in (ROOT / "templates").rglob("*.html"):
        named |= {name for pair in ICON_USES.findall(page.read_text()) for name in pair if name}
    named |= {state.icon for kind in State.__subclasses__() for state in kind}
    assert ConsumerState.PAUSED.icon in named
    assert named - sprite == set()


# --- JSON documents ---


def test_json_view_keeps_numbers_digit_for_digit_and_escapes():
    html = render(
        "{% json_view text %}", text='{"n":12345678901234567890123,"rate":1.10,"s":"<script>alert(1)</script>"}'
    )
    assert "12345678901234567890123" in html
    assert ">1.10<" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_json_view_escapes_hostile_keys():
    assert "<img" not in render("{% json_view text %}", text='{"<img src=x>": {"\\"><img>": 1}}')


def test_json_view_marks_changed_top_level_keys_with_all_they_hold():
    html = render("{% json_view text changed=keys %}", text='{"a":1,"b":{"a":2,"c":3},"d":4}', keys=["b"])
    marked = re.sub(r"<[^>]+>", "", "".join(re.findall(r'<mark class="json-changed">(.*?)</mark>', html)))
    assert "&quot;b&quot;" in marked
    assert "3" in marked
    assert "1" not in marked
    assert "4" not in marked


def test_json_view_shows_what_is_not_json_as_it_is():
    assert "{&quot;cut" in render("{% json_view text %}", text='{"cut').replace('<span class="json-string">', "")


def test_json_view_takes_plain_data():
    assert "&quot;é&quot;" in render("{% json_view data %}", data={"name": "é", "at": NOW})


# --- Parts ---


def test_problem_keeps_the_markup_of_its_block_and_escapes_its_words():
    html = render(
        '{% problem what=what next_step="Try again." %} <a href="/x">Go</a> {% endproblem %}', what="<b>No</b>"
    )
    assert '<a href="/x">Go</a>' in html
    assert "&lt;b&gt;No" in html
    assert 'role="alert"' in html


def test_card_and_dialog_hold_other_markup():
    assert "<p>in</p>" in render('{% card title="T" %}<p>in</p>{% endcard %}')
    html = render('{% dialog id="d" title="T" open=True %}<p>in</p>{% enddialog %}')
    assert "data-open" in html
    assert "<p>in</p>" in html


def test_stepper_marks_done_and_current():
    html = render('{% stepper "Connect" "Pick" "Start" current=2 %}')
    assert html.count("step-done") == 1
    assert html.count('aria-current="step"') == 1


def test_form_parts_show_errors_and_say_what_is_optional():
    class Form(forms.Form):
        host = forms.CharField(help_text="Where NATS runs.")
        note = forms.CharField(required=False)
        tls = forms.BooleanField(required=False)
        policy = forms.ChoiceField(choices=[("all", "All"), ("new", "New")], widget=forms.RadioSelect)

    html = render('{% include "parts/form.html" %}', form=Form({"policy": "all"}))
    assert html.count('class="optional"') == 1
    assert 'id="id_host_error"' in html
    assert 'aria-describedby="id_host_helptext id_host_error"' in html
    assert html.count("form-check-input") == 3
    assert "form-control is-invalid" in html


def test_with_query_changes_one_value_and_drops_empty_ones():
    request = RequestFactory().get("/", {"q": "a&b", "page": "3", "state": "paused"})
    assert render("{% with_query page=2 state='' %}", request=request) in (
        "q=a%26b&page=2",
        "q=a%26b&amp;page=2",
    )


# --- Content security policy ---


def test_templates_hold_no_inline_script_style_or_handler():
    for page in (ROOT / "templates").rglob("*.html"):
        text = page.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\shx-on", text), page
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), page
        assert not re.search(r"""\ssrc=["'](?:https?:)?//|<link[^>]*href=["'](?:https?:)?//""", text), page
