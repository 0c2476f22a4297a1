"""Forms of the accounts pages; services do the work."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils import timezone

from sequin_console.accounts.rights import Role
from sequin_console.common.models import AuditEvent

ROLE_CHOICES = [(role.value, f"{role.label} – {role.meaning}") for role in Role]
EXPIRY_CHOICES = [("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("", "Never")]


class InviteForm(forms.Form):
    username = forms.CharField(
        label="Name to sign in with", max_length=150, validators=[UnicodeUsernameValidator()], strip=True
    )
    email = forms.EmailField(label="Email", required=False, help_text="For your own notes; no mail is sent.")
    role = forms.ChoiceField(label="Role", choices=ROLE_CHOICES, widget=forms.RadioSelect, initial=Role.VIEWER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices)


class TokenForm(forms.Form):
    name = forms.CharField(label="What it is for", max_length=100, help_text="For example “Nightly export”.")
    role = forms.ChoiceField(label="Role", choices=ROLE_CHOICES, widget=forms.RadioSelect, initial=Role.VIEWER)
    expires = forms.ChoiceField(label="Expires", choices=EXPIRY_CHOICES, required=False, initial="90")

    def clean_expires(self) -> Any:
        """The moment it expires, or None for never."""
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class ActivityFilter(forms.Form):
    """What to show of the activity log; nonsense is ignored, for it comes from the address."""

    q = forms.CharField(label="Search", required=False, max_length=100, strip=True)
    actor = forms.ChoiceField(label="Done by", required=False, choices=[("", "Anybody"), *AuditEvent.ActorKind.choices])
    day = forms.DateField(label="On or before", required=False, widget=forms.DateInput(attrs={"type": "date"}))
