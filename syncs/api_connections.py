"""Routes of credentials and OAuth apps under /v1. Thin, as api.py is."""

import hmac
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from sequin_console.common import rest
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.rest import actor, get_or_404
from syncs import connections, disconnecting, inputs, listing, oauth, oauth_apps, schemas
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp
from syncs.schemas import CredentialOut, OAuthAppOut

credentials, apps, links = Router(), Router(), Router()


@credentials.post("", response={201: CredentialOut}, summary="Import a credential")
def create_credential(request: HttpRequest, body: schemas.CredentialIn) -> CredentialOut:
    """Import a key or a refresh token. It is tried at the provider first; 422 names the field that is wrong.

    Importing the same account of the same kind again replaces its secrets and keeps its id.
    """
    return CredentialOut.of(inputs.import_credential(body, by=actor(request)))


@credentials.get("", response=schemas.CredentialList, summary="List credentials")
def list_credentials(request: HttpRequest, query: Query[schemas.CredentialQuery]) -> schemas.CredentialList:
    """All credentials, newest first, their secrets masked."""
    rows, next_cursor = listing.credentials(actor(request), query)
    return schemas.CredentialList(data=[CredentialOut.of(row) for row in rows], next=next_cursor)


@credentials.get("/{uuid:credential_id}", response=schemas.CredentialDetail, summary="Get a credential")
def get_credential(request: HttpRequest, credential_id: UUID) -> schemas.CredentialDetail:
    """One credential: whose account it opens, how it is, how much of the request quota is used, and what for."""
    return schemas.CredentialDetail.with_spent(
        get_or_404(Credential.objects.visible_to(actor(request)), pk=credential_id)
    )


@credentials.patch("/{uuid:credential_id}", response=CredentialOut, summary="Change a credential")
def update_credential(request: HttpRequest, credential_id: UUID, body: schemas.CredentialPatch) -> CredentialOut:
    """Rename a credential or replace its secrets. New ones are tried first and must open the same account."""
    rows = Credential.objects.editable_by(actor(request)).select_related("oauth_app")
    credential = get_or_404(rows, pk=credential_id)
    return CredentialOut.of(inputs.change_credential(credential, body, by=actor(request)))


@credentials.delete("/{uuid:credential_id}", response={204: None}, summary="Delete a credential")
def delete_credential(request: HttpRequest, credential_id: UUID) -> None:
    """Forget a credential and its secrets. Refused with 409 while syncs use it."""
    credential = get_or_404(Credential.objects.editable_by(actor(request)), pk=credential_id)
    disconnecting.delete_credential(credential, by=actor(request))


@credentials.post("/{uuid:credential_id}/test", response=schemas.CheckList, summary="Test a credential")
def test_credential(request: HttpRequest, credential_id: UUID) -> schemas.CheckList:
    """Sign in at the provider and read one record of every collection that syncs read through this credential."""
    credential = get_or_404(Credential.objects.editable_by(actor(request)), pk=credential_id)
    checks = [schemas.CheckOut.of(result) for result in connections.test_credential(credential)]
    return schemas.CheckList(ok=all(check.ok for check in checks), data=checks)


test_credential.__test__ = False  # type: ignore[attr-defined]  # a route, not a test


@credentials.post("/start-auth", response={201: schemas.StartUrl}, summary="Start an OAuth sign-in")
def start_auth(request: HttpRequest, body: schemas.StartAuth) -> schemas.StartUrl:
    """Make a link for somebody who shall connect an account of theirs.

    Whoever opens it is sent to the provider, allows reading, and comes back to `redirect_url` with `code` and `state`
    in its query. `POST /v1/link/oauth2/token` turns the code into the credential.
    """
    Credential.objects.editable_by(actor(request))
    url = oauth.start_link(
        inputs.oauth_app(actor(request), body.oauth_app_id),
        body.credential_kind,
        by=actor(request),
        return_url=body.redirect_url,
        return_state=inputs.pack_state(body.state),
    )
    return schemas.StartUrl(start_url=url)


@links.post("/oauth2/token", response=schemas.TokenOut, auth=None, summary="Exchange a code for a credential")
def exchange_code(request: HttpRequest, body: schemas.TokenIn) -> schemas.TokenOut:
    """Take the credential home that a finished `start-auth` has made. The code is good for five minutes and one use.

    No API token is needed: the OAuth app's id and client secret say who asks.
    """
    app = OAuthApp.objects.filter(pk=body.client_id).first()
    known = app.secrets.get("client_secret", "") if app else ""
    if app is None or not known or not hmac.compare_digest(known.encode(), body.client_secret.encode()):
        rest.note_failure(request)
        message, step = "This client id or secret is not known here.", "Send the OAuth app's id and its client secret."
        raise Problem(message, kind="credentials", next_step=step, status=401)
    credential, state = oauth.redeem(body.code, app)
    return schemas.TokenOut(credential=CredentialOut.of(credential), state=inputs.unpack_state(state))


# --- OAuth apps ------------------------------------------------------------------------------------------------------


@apps.post("", response={201: OAuthAppOut}, summary="Create an OAuth app")
def create_oauth_app(request: HttpRequest, body: schemas.OAuthAppIn) -> OAuthAppOut:
    """Store your own OAuth app at a provider. Register its `redirect_url` there."""
    OAuthApp.objects.administered_by(actor(request))
    if rest.is_masked(body.client_secret):
        raise field_problem("client_secret", "This is a masked secret.", next_step="Send the secret itself.")
    if body.provider in PROVIDERS and not any(kind.oauth for kind in PROVIDERS[body.provider].kinds):
        raise field_problem("provider", f"{PROVIDERS[body.provider].label} is not connected by an OAuth app.")
    with inputs.app_named_as_sent(body.properties):
        return OAuthAppOut.of(oauth_apps.create(body.model_dump(), by=actor(request)))


@apps.get("", response=schemas.OAuthAppList, summary="List OAuth apps")
def list_oauth_apps(request: HttpRequest, query: Query[schemas.OAuthAppQuery]) -> schemas.OAuthAppList:
    """All OAuth apps, newest first, their secrets masked."""
    rows, next_cursor = listing.oauth_apps(actor(request), query)
    return schemas.OAuthAppList(data=[OAuthAppOut.of(row) for row in rows], next=next_cursor)


@apps.get("/{uuid:app_id}", response=OAuthAppOut, summary="Get an OAuth app")
def get_oauth_app(request: HttpRequest, app_id: UUID) -> OAuthAppOut:
    """One OAuth app, its secret masked."""
    return OAuthAppOut.of(get_or_404(OAuthApp.objects.visible_to(actor(request)), pk=app_id))


@apps.patch("/{uuid:app_id}", response=OAuthAppOut, summary="Change an OAuth app")
def update_oauth_app(request: HttpRequest, app_id: UUID, body: schemas.OAuthAppPatch) -> OAuthAppOut:
    """Change an OAuth app. A client secret that is empty or masked stays as it is."""
    app = get_or_404(OAuthApp.objects.administered_by(actor(request)), pk=app_id)
    sent = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value is not None}
    sent["properties"] = rest.without_masked(sent.get("properties", {}))
    with inputs.app_named_as_sent(sent["properties"]):
        return OAuthAppOut.of(oauth_apps.update(app, rest.without_masked(sent), by=actor(request)))


@apps.delete("/{uuid:app_id}", response={204: None}, summary="Delete an OAuth app")
def delete_oauth_app(request: HttpRequest, app_id: UUID) -> None:
    """Forget an OAuth app. Refused with 409 while credentials use it."""
    app = get_or_404(OAuthApp.objects.administered_by(actor(request)), pk=app_id)
    oauth_apps.delete(app, by=actor(request))
