"""Forms of connections and OAuth apps. They follow the provider catalogue; services do the work and the checking."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django import forms

from sequin_console.common.forms import SecretLines, choice
from syncs import hosts
from syncs.models import Credential, OAuthApp
from syncs.providers.kit.catalogue import CredentialKind, Host, Provider, SetupField, Site
from syncs.providers.kit.values import LOGIN_URL, BadValue

HOST = "host"


class OAuthAppForm(forms.Form):
    """A customer's own OAuth app at one provider. The secret is never sent back: empty keeps what is stored."""

    name = forms.CharField(label="Name", max_length=100, help_text="Only for you, to tell apps apart.")
    client_id = forms.CharField(
        label="Client id", max_length=400, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    client_secret = forms.CharField(
        label="Client secret", strip=True, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, provider: Provider, app: OAuthApp | None = None, **kwargs: Any) -> None:
        initial = {"name": f"{provider.label} app", HOST: provider.hosts[0].key if provider.hosts else ""}
        if app is not None:
            initial = {field: getattr(app, field) for field in ("name", "client_id", HOST, LOGIN_URL)} | app.settings
        super().__init__(*args, **{"initial": initial, **kwargs})
        add_host_fields(self, hosts.choices(provider), "Where do people sign in?")
        self.fields["client_secret"].label = next(kind.oauth.proof_label for kind in provider.kinds if kind.oauth)
        self.own = provider.app_fields()
        for field in self.own:
            self.fields[field.key] = form_field(field)
        for key in ("client_secret", *(field.key for field in self.own if field.secret)):
            if app is not None and app.secrets.get(key):
                self.fields[key].required = False
                self.fields[key].help_text = "Stored. Leave empty to keep it."

    def values(self) -> dict[str, Any]:
        """What was typed, as the service takes it: what only this provider's apps have stands apart."""
        typed = dict(self.cleaned_data)
        return {"properties": {field.key: typed.pop(field.key) for field in self.own}, **typed}


class RedirectForm(forms.Form):
    """Which OAuth app to go through, and what to call the connection."""

    app = forms.ModelChoiceField(label="OAuth app", queryset=OAuthApp.objects.none(), empty_label=None)
    name = forms.CharField(
        label="Name of the connection", max_length=100, required=False, help_text="For example “Sales production”."
    )

    def __init__(self, *args: Any, apps: Sequence[OAuthApp], kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"app": apps[0].pk if apps else None}, **kwargs})
        self.fields["app"].queryset = OAuthApp.objects.filter(pk__in=[app.pk for app in apps])  # type: ignore[attr-defined]
        add_editable(self, kind)

    def settings(self) -> dict[str, str]:
        return editable_of(self)


class PasteForm(forms.Form):
    """The fields one credential kind asks for. Secrets are checked, stored encrypted, and never sent back."""

    name = forms.CharField(label="Name of the connection", max_length=100, required=False)

    def __init__(
        self, *args: Any, provider: Provider, kind: CredentialKind, apps: Iterable[OAuthApp] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.fields["name"].widget.attrs["placeholder"] = f"{provider.label} account"
        if kind.oauth is not None:
            choices = [(str(app.pk), app.name) for app in apps]
            self.fields["oauth_app_id"] = forms.ChoiceField(
                label="OAuth app", choices=choices, help_text="The app that the token was given to."
            )
        elif len(offered := hosts.choices(provider, kind)) > 1 or not all(host.url for host in offered):
            add_host_fields(self, offered, "Where is the account?")
        for field in kind.fields:
            self.fields[field.key] = form_field(field)

    def secrets(self) -> dict[str, str]:
        return self._typed(secret=True)

    def settings(self) -> dict[str, str]:
        typed = {key: self.cleaned_data[key] for key in (HOST, LOGIN_URL) if self.cleaned_data.get(key)}
        return typed | self._typed(secret=False)

    def _typed(self, *, secret: bool) -> dict[str, str]:
        wanted = (field.key for field in self.kind.fields if field.secret is secret)
        return {key: self.cleaned_data[key] for key in wanted if self.cleaned_data.get(key)}


class SiteForm(forms.Form):
    """Which of the accounts that a sign-in opens."""

    site = forms.ChoiceField(label="Account", widget=forms.RadioSelect)

    def __init__(self, *args: Any, offered: Sequence[Site], **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"site": offered[0].id}, **kwargs})
        self.fields["site"].choices = [(site.id, site.label) for site in offered]  # type: ignore[attr-defined]


class ReplaceForm(forms.Form):
    """New secrets for a connection that exists: only what is secret is asked again."""

    def __init__(self, *args: Any, credential: Credential, kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.credential, self.kind = credential, kind
        for field in kind.fields:
            self.fields[field.key] = form_field(field)
            if not field.secret:
                self.initial[field.key] = credential.settings.get(field.key, "")

    def secrets(self) -> dict[str, str]:
        return {f.key: self.cleaned_data[f.key] for f in self.kind.fields if f.secret and self.cleaned_data[f.key]}

    def settings(self) -> dict[str, str]:
        typed = {f.key: self.cleaned_data[f.key] for f in self.kind.fields if not f.secret and self.cleaned_data[f.key]}
        return {**self.credential.settings, **typed}


class NameForm(forms.Form):
    """A connection's name, and what it reads where its kind lets one choose."""

    name = forms.CharField(label="Name", max_length=100)

    def __init__(self, *args: Any, credential: Credential, kind: CredentialKind, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {**credential.settings, "name": credential.name}, **kwargs})
        add_editable(self, kind)

    def settings(self) -> dict[str, str]:
        return editable_of(self)


def add_editable(form: forms.Form, kind: CredentialKind) -> None:
    """The fields of a kind that say what is read. What is typed has its one spelling then; a bad one is told there."""
    for field in kind.editable:
        form.fields[field.key] = form_field(field)
        form.fields[field.key].validators.append(_cleans(field))
    form.editable = kind.editable  # type: ignore[attr-defined]


def editable_of(form: Any) -> dict[str, str]:
    """What was typed into them, in its one spelling; empty ones too, for they empty what was there."""
    typed = {field.key: (field, form.cleaned_data.get(field.key) or "") for field in form.editable}
    return {key: field.clean(value) if value else "" for key, (field, value) in typed.items()}


def _cleans(field: SetupField) -> Callable[[str], None]:
    def check(value: str) -> None:
        try:
            field.clean(value)
        except BadValue as error:
            raise forms.ValidationError(str(error)) from None

    return check


def form_field(field: SetupField) -> forms.Field:
    """The form field for one thing a provider asks for."""
    common: dict[str, Any] = {"label": field.label, "required": field.required, "help_text": field.help}
    if field.choices:
        return forms.ChoiceField(choices=field.choices, **common)
    attrs = {"autocomplete": "new-password" if field.secret else "off", "spellcheck": "false"}
    if field.example:
        attrs["placeholder"] = field.example
    if field.lines:
        widget: forms.Widget = SecretLines(attrs={**attrs, "rows": 6}) if field.secret else forms.Textarea(attrs=attrs)
    else:
        widget = forms.PasswordInput(attrs=attrs) if field.secret else forms.TextInput(attrs=attrs)
    return forms.CharField(strip=True, max_length=20_000, widget=widget, **common)


def add_host_fields(form: forms.Form, offered: Sequence[Host], label: str) -> None:
    """A choice of login hosts, and a field for one's own address where a choice needs it."""
    choices = [(host.key, choice(host.label, host.help)) for host in offered]
    form.fields[HOST] = forms.ChoiceField(
        label=label, choices=choices, widget=forms.RadioSelect, initial=form.initial.get(HOST) or offered[0].key
    )
    typed = next((host for host in offered if not host.url), None)
    if typed is not None:
        form.fields[LOGIN_URL] = forms.CharField(
            label=f"Address of {typed.label}", required=False, max_length=300, help_text=typed.help
        )
        form.fields[LOGIN_URL].widget.attrs["data-only-with"] = f"{HOST}={typed.key}"  # forms.js


class SigningSecretForm(forms.Form):
    """The secret that a provider signs its webhooks with, as the provider shows it."""

    def __init__(self, *args: Any, field: SetupField, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret"] = form_field(field)
