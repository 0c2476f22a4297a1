"""GitHub's webhooks: of repositories and organisations, registered through the API, signed with the caller's secret.

Source: https://docs.github.com/rest/repos/webhooks, …/rest/orgs/webhooks,
https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sandbox.github import shapes
from sandbox.github.errors import not_accessible, not_found, said
from sandbox.github.events import OF_ORGANISATIONS, OF_REPOSITORIES, Event
from sandbox.github.repository import repository_of
from sandbox.kit.table import iso_z
from sandbox.kit.webhooks import ALL, Hook, Webhooks
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.github.side import GitHub

MOST = 20  # hooks that hear of one event of one place
ZEN = "Keep it logically awesome."
SCOPES = {"repos": ("repository_hooks", "repo", "admin:repo_hook"), "orgs": ("organization_hooks", "admin:org_hook")}
Endpoint = Callable[["GitHub", Request, str], Awaitable[Response]]


def sign(hook: Hook, body: bytes) -> Mapping[str, str]:
    """Both signatures, the old one too; none for a hook without a secret."""
    kind = "repository" if hook.more.get("place", "").startswith("repos/") else "organization"
    headers = {"User-Agent": "GitHub-Hookshot/5a0dbe1", "X-GitHub-Hook-ID": str(hook.id),
               "X-GitHub-Hook-Installation-Target-Type": kind}  # fmt: skip
    if hook.secret:
        for name, way in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
            headers[name] = f"{way}={hmac.digest(hook.secret.encode(), body, way).hex()}"
    return headers


def tell(webhooks: Webhooks, event: Event) -> None:
    """Send an event to the hooks of its places. One made by hand, as a GitHub App's, hears of all."""
    places = (None, *event.places)
    webhooks.tell(
        event.name, dump(event.body), _heads(event.name),
        among=lambda hook: hook.more.get("active", True) and hook.more.get("place") in places,
    )  # fmt: skip


def _heads(event: str) -> dict[str, str]:
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": str(uuid.uuid4())}


def routes(side: GitHub) -> list[BaseRoute]:
    """Registering; a repository's by its name and by its id."""
    found: list[BaseRoute] = []
    for start in ("/repos/{owner}/{name}", "/repositories/{repository:int}", "/orgs/{owner}"):
        for path, methods in (("/hooks", {"GET": listed, "POST": create}),
                              ("/hooks/{hook:int}", {"GET": one, "PATCH": change, "DELETE": remove})):  # fmt: skip
            found += [side.get(start + path, _placed(side, start, endpoint), methods=(method,))
                      for method, endpoint in methods.items()]  # fmt: skip
    return found


def _placed(side: GitHub, start: str, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, told the place, for callers with the right to its hooks."""
    of = "orgs" if start.startswith("/orgs") else "repos"

    async def entered(request: Request) -> Response:
        caller, login = request.state.caller, request.path_params.get("owner", "").lower()
        if of == "orgs" and login not in (shapes.ORGANISATION, shapes.OTHER):
            raise not_found()
        place = f"orgs/{login}" if of == "orgs" else f"repos/{repository_of(side, request).id}"
        if not caller.may(*SCOPES[of]):
            raise not_accessible(SCOPES[of][0], "write") if not caller.grant or caller.user else not_found()
        return await endpoint(side, request, place)

    return entered


# ---- the calls


async def listed(side: GitHub, request: Request, place: str) -> Response:
    return JSONResponse([shown(side, hook) for hook in _hooks(side, place)])


async def create(side: GitHub, request: Request, place: str) -> Response:
    """`{"name": "web", "active", "events", "config": {"url", "content_type", "secret"}}`; a `ping` follows."""
    asked = load(await request.body())
    config, events = asked.get("config") or {}, tuple(asked.get("events") or ("push",))
    _check(side, place, 0, str(config.get("url") or ""), events)
    try:
        more = {"place": place, "active": asked.get("active", True), "made": iso_z(side.clock.now_ms()),
                "content_type": config.get("content_type", "form")}  # fmt: skip
        made = _webhooks(side).register(config["url"], "", events, **more)
        hook = _webhooks(side).keep(replace(made, secret=config.get("secret", "")))
    except ValueError as error:
        raise refused(f"url is not supported: {error}") from None
    body = {"zen": ZEN, "hook_id": hook.id, "hook": shown(side, hook)}
    _webhooks(side).send(hook, "ping", dump(body), _heads("ping"))
    return JSONResponse(shown(side, hook), 201)


async def one(side: GitHub, request: Request, place: str) -> Response:
    return JSONResponse(shown(side, _find(side, request, place)))


async def change(side: GitHub, request: Request, place: str) -> Response:
    """What is given replaces what is there; of `config`, all of it: a secret that is left out is taken away."""
    hook, asked = _find(side, request, place), load(await request.body())
    config = asked.get("config", {"url": hook.url, "secret": hook.secret})
    events = tuple(asked.get("events") or hook.events)
    _check(side, place, hook.id, str(config.get("url") or ""), events)
    more = {**hook.more, "active": asked.get("active", hook.more["active"])}
    try:
        changed = replace(hook, url=config["url"], secret=config.get("secret", ""), events=events, more=more)
        return JSONResponse(shown(side, _webhooks(side).keep(changed)))
    except ValueError as error:
        raise refused(f"url is not supported: {error}") from None


async def remove(side: GitHub, request: Request, place: str) -> Response:
    _webhooks(side).drop(_find(side, request, place).id)
    return Response(status_code=204)


# ---- rows


def shown(side: GitHub, hook: Hook) -> dict[str, Any]:
    """A hook as the API shows it: never its secret."""
    url = f"{shapes.API}/{hook.more['place']}/hooks/{hook.id}"
    config = {"url": hook.url, "content_type": hook.more["content_type"], "insecure_ssl": "0"}
    config |= {"secret": "********"} if hook.secret else {}
    return {"type": "Organization" if hook.more["place"].startswith("orgs/") else "Repository", "id": hook.id,
            "name": "web", "active": hook.more["active"], "events": list(hook.events), "config": config, "url": url,
            "created_at": hook.more["made"], "updated_at": hook.more["made"], "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None}}  # fmt: skip


def refused(message: str) -> Exception:
    error = {"resource": "Hook", "code": "custom", "message": message}
    return said(422, "Validation Failed", errors=[error])


def _check(side: GitHub, place: str, own: int, url: str, events: tuple[str, ...]) -> None:
    """What GitHub does not take. Two hooks may share an address while no event of theirs is the same."""
    is_organisation = place.startswith("orgs/")
    if not url:
        raise refused("Config must contain URL for webhooks")
    if unknown := set(events) - {ALL} - (OF_ORGANISATIONS if is_organisation else OF_REPOSITORIES):
        raise refused(f"Invalid event(s) for this hook: {', '.join(sorted(unknown))}")
    others = [hook for hook in _hooks(side, place) if hook.id != own]
    if any(hook.url == url and {ALL, *events} & set(hook.events) for hook in others):
        raise refused(f"Hook already exists on this {'organization' if is_organisation else 'repository'}")
    for event in events:
        if sum(hook.wants(event) for hook in others) >= MOST:
            raise refused(f'The "{event}" event cannot have more than {MOST} hooks')


def _webhooks(side: GitHub) -> Webhooks:
    assert side.webhooks is not None
    return side.webhooks


def _hooks(side: GitHub, place: str) -> list[Hook]:
    return [hook for hook in _webhooks(side).all() if hook.more.get("place") == place]


def _find(side: GitHub, request: Request, place: str) -> Hook:
    for hook in _hooks(side, place):
        if hook.id == request.path_params["hook"]:
            return hook
    raise not_found()
