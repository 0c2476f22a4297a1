"""What the forms of both apps are made of."""

from typing import Any

from django import forms
from django.utils.html import format_html


def choice(label: str, note: str) -> str:
    """A radio button's label with a quieter line under it."""
    return format_html('{}<span class="choice-note">{}</span>', label, note) if note else label


class SecretLines(forms.Textarea):
    """Several secret lines. Like a password, they are not sent back with a form that has an error."""

    def format_value(self, value: Any) -> str:
        return ""
