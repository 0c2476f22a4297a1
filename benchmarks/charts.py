"""Bars as SVG, drawn by hand: small files that a reviewer can read. Pure."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

OURS, OTHERS = "#206bc4", "#9aa7b5"
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 230, 110, 22, 10, 44
FONT = 'font-family="system-ui, sans-serif" fill="#1f2933"'


class Bar(NamedTuple):
    """`text` stands behind it; ours are coloured."""

    label: str
    value: float
    text: str
    is_ours: bool = False


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A chart of horizontal bars, the longest as wide as there is room."""
    longest = max((bar.value for bar in rows), default=0.0) or 1.0
    height = TOP + len(rows) * (BAR + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600" {FONT}>{escape(title)}</text>',
    ]
    for number, bar in enumerate(rows):
        y = TOP + number * (BAR + GAP)
        wide = round((WIDTH - LEFT - RIGHT) * bar.value / longest, 1)
        colour = OURS if bar.is_ours else OTHERS
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 16}" font-size="13" text-anchor="end" {FONT}>{escape(bar.label)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{wide}" height="{BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{LEFT + wide + 8}" y="{y + 16}" font-size="13" {FONT}>{escape(bar.text)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
