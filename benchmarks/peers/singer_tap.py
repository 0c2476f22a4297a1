"""singer-sdk: a tap for the upstream; prints Singer messages."""

from typing import Any

from publisher import UPSTREAM
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BaseAPIPaginator

TEXT, NUMBER, FLAG = th.StringType, th.IntegerType, th.BooleanType


def columns(kind: Any, *names: str) -> list[Any]:
    return [th.Property(name, kind) for name in names]


ADDRESS = th.ObjectType(*columns(TEXT, "city", "country", "line1", "line2", "postal_code", "state"))
INVOICES = th.ObjectType(
    *columns(TEXT, "custom_fields", "default_payment_method", "footer", "rendering_options"),
)
SHIPPING = th.ObjectType(th.Property("address", ADDRESS), *columns(TEXT, "name", "phone"))
SCHEMA = th.PropertiesList(
    *columns(TEXT, "id", "object", "currency", "default_source", "description", "discount", "email", "invoice_prefix"),
    *columns(TEXT, "name", "phone", "tax_exempt", "test_clock", "note"),
    *columns(NUMBER, "balance", "created", "next_invoice_sequence", "updated"),
    *columns(FLAG, "delinquent", "livemode"),
    th.Property("address", ADDRESS),
    th.Property("invoice_settings", INVOICES),
    th.Property("metadata", th.ObjectType(*columns(TEXT, "order_id", "segment", "crm"))),
    th.Property("preferred_locales", th.ArrayType(TEXT)),
    th.Property("shipping", SHIPPING),
)


class Pages(BaseAPIPaginator):
    def __init__(self) -> None:
        super().__init__(None)

    def get_next(self, response: Any) -> str | None:
        page = response.json()
        return page["data"][-1]["id"] if page["has_more"] else None


class Customers(RESTStream):
    name, path, url_base = "customers", "/v1/customers", UPSTREAM
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    schema = SCHEMA.to_dict()

    def get_new_paginator(self) -> Pages:
        return Pages()

    def get_url_params(self, context: Any, next_page_token: str | None) -> dict[str, Any]:
        return {"limit": 100} | ({"starting_after": next_page_token} if next_page_token else {})


class TapBench(Tap):
    name = "tap-bench"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Any]:
        return [Customers(self)]


TapBench.cli(["--config", "ENV"])
