"""What only Salesforce can be told by the control API: fields that come and go, merges, locators, change events."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from sandbox.control import body_of, plain


@plain
async def forget_locators(request: Request) -> Any:
    """All open query locators become invalid."""
    request.app.state.sandbox.sides["salesforce"].forget_page_tokens()
    return {"forgotten": True}


@plain
async def change_fields(request: Request) -> Any:
    """POST `{"name", "type"}` adds a custom field to an object; DELETE takes a field away."""
    salesforce, name = request.app.state.sandbox.sides["salesforce"], request.path_params["object"]
    if request.method == "DELETE":
        salesforce.org.hide_field(name, request.path_params["field"])
    else:
        asked = await body_of(request)
        salesforce.org.add_field(name, asked["name"], asked.get("type", "string"))
    salesforce.schema_changed()
    return {"fields": [field.name for field in salesforce.org.object(name).fields]}


@plain
async def merge_records(request: Request) -> Any:
    """`{"losers": [ids]}` are merged into the record of the URL."""
    losers = (await body_of(request))["losers"]
    org = request.app.state.sandbox.sides["salesforce"].org
    rows = org.merge(request.path_params["collection"], request.path_params["id"], losers)
    return {"merged": [row.id for row in rows]}


@plain
async def publish_event(request: Request) -> Any:
    """POST `{"entityName", "changeType", "recordIds"}` publishes a change event; DELETE forgets all that are kept."""
    events = request.app.state.sandbox.sides["salesforce"].events
    if request.method == "DELETE":
        return {"forgotten": events.forget()}
    asked = await body_of(request)
    return {"replayId": events.publish(asked["entityName"], asked["changeType"], asked.get("recordIds", []))}


@plain
async def subscribers(request: Request) -> Any:
    """Who listens to change events, by client id, and to what; DELETE forgets them all."""
    streaming = request.app.state.sandbox.sides["salesforce"].streaming
    told = {key: sorted(each.places) for key, each in streaming.subscribers.items()}
    if request.method == "DELETE":
        streaming.subscribers.clear()
    return {"subscribers": told, "delivered": streaming.delivered()}


ROUTES = [
    Route("/locators", forget_locators, methods=["DELETE"]),
    Route("/fields/{object}", change_fields, methods=["POST"]),
    Route("/fields/{object}/{field}", change_fields, methods=["DELETE"]),
    Route("/salesforce/events", publish_event, methods=["POST", "DELETE"]),
    Route("/salesforce/subscribers", subscribers, methods=["GET", "DELETE"]),
    Route("/records/salesforce/{collection}/{id}/merge", merge_records, methods=["POST"]),
]
