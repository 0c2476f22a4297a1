"""Salesforce as a side of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from sandbox import apps
from sandbox.faults import Fault
from sandbox.salesforce import bulk_routes, cometd, control, oauth, records, rest
from sandbox.salesforce.bulk import BulkJobs
from sandbox.salesforce.change_events import ChangeEvents
from sandbox.salesforce.errors import EDGE_PAGE, ApiError, invalid_locator, over_quota, unsupported_object
from sandbox.salesforce.grants import Grants
from sandbox.salesforce.org import Org
from sandbox.salesforce.queries import Queries
from sandbox.side import Side

MAX_HEAD_BYTES = 16_384
QUOTA_KEPT_EVERY = 100


class Salesforce(Side):
    """Everything that makes up the Salesforce side."""

    key = "salesforce"
    label = "Salesforce"
    page_token_mark = "/query/0r8"
    lacks = frozenset()
    own_faults: ClassVar = {
        "quota": "403 REQUEST_LIMIT_EXCEEDED",
        "lock_timeout": "400 QUERY_TIMEOUT",
        "no_read_right": "400 INVALID_TYPE, as for objects the user may not see",
    }
    own_settings: ClassVar = {
        "change_data_capture": "", "hold_s": 110.0, "events_max": 25_000, "streaming_clients": 20, "shows_setup": True,
        "view_all": True,
    }  # fmt: skip
    edge_page = EDGE_PAGE
    undeletes = True
    churned = records.CHURNED
    edits = records.EDITS
    ready_faults = (
        ("Used-up quota, 3 requests", {"kind": "quota", "times": "3"}),
        ("Slow down (429), 5 requests", {"kind": "rate_limit", "times": "5", "retry_after": "2"}),
        ("Server error, 3 requests", {"kind": "server_error", "times": "3"}),
        ("Maintenance page, 3 requests", {"kind": "unavailable", "times": "3"}),
        ("Expired access token", {"kind": "expired_token", "times": "1"}),
        ("Revoked connection", {"kind": "revoked_grant", "times": "1"}),
        ("Lost page token", {"kind": "lost_page_token", "times": "1"}),
        ("No right to read Contact", {"kind": "no_read_right", "path": "FROM Contact"}),
        ("5 seconds slower", {"kind": "slow", "seconds": "5"}),
        ("Half a body, once", {"kind": "truncated", "times": "1"}),
        ("Dropped connection, once", {"kind": "drop", "times": "1"}),
        ("One in five requests fails", {"kind": "server_error", "share": "0.2"}),
    )
    main_fields: ClassVar = {
        "Account": ("Name", "Type", "Industry", "Phone", "Website", "AnnualRevenue", "BillingCity", "Description"),
        "Contact": ("FirstName", "LastName", "AccountId", "Title", "Email", "Phone", "MailingCity",
                    "HasOptedOutOfEmail"),
        "Lead": ("FirstName", "LastName", "Company", "Status", "Email", "Phone"),
        "Opportunity": ("Name", "AccountId", "StageName", "Amount", "CloseDate", "NextStep"),
        "Case": ("Subject", "Status", "Priority", "Origin", "Description"),
        "Task": ("Subject", "Status", "Priority", "ActivityDate"),
        "User": ("FirstName", "LastName", "Email", "Title", "IsActive"),
        "Invoice__c": ("Name", "Account__c", "Amount__c", "Status__c", "Due_Date__c", "Paid__c", "Notes__c"),
    }  # fmt: skip
    system_fields = frozenset({"Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate",
                               "LastModifiedById", "SystemModstamp", "Sandbox_Version__c"})  # fmt: skip

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.org = Org(self.store, self.clock, lambda: sandbox.settings)
        self.events = self.org.events = ChangeEvents(self.org, lambda: self.setting("change_data_capture"))
        self.grants = Grants(self.org)
        self.queries = Queries(self.org)
        self.bulk = BulkJobs(self.queries)
        self.streaming = cometd.Streaming(self)
        self.schema_changed_ms = self.clock.now_ms()

    def schema_changed(self) -> None:
        """A field came or went: `describe` is no longer what clients remember."""
        self.schema_changed_ms = max(self.clock.now_ms(), self.schema_changed_ms + 1_000)

    def use_quota(self) -> None:
        """Count one call."""
        sandbox = self.sandbox
        used = sandbox.settings.quota_used + 1
        sandbox.settings = sandbox.settings.changed({"quota_used": used})
        if used % QUOTA_KEPT_EVERY == 0:
            sandbox.keep_settings()

    def routes(self) -> Sequence[BaseRoute]:
        return [*oauth.ROUTES, *rest.ROUTES, *bulk_routes.ROUTES, *cometd.ROUTES]

    @classmethod
    def control_routes(cls) -> Sequence[BaseRoute]:
        return control.ROUTES

    def refuse(self, scope: Scope) -> Response | None:
        """URI and headers may have 16,384 bytes together (REST API guide)."""
        uri = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if uri > MAX_HEAD_BYTES:
            return PlainTextResponse("URI Too Long", 414)
        if uri + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD_BYTES:
            return PlainTextResponse("Request Header Fields Too Large", 431)
        return None

    def refusals(self, fault: Fault, token: str) -> Mapping[str, ApiError]:
        return {
            "rate_limit": ApiError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests. Please slow down."),
            "quota": over_quota(),
            "server_error": ApiError(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this"
                                     " ErrorId if you contact support: 1183772910-23041 (-1402283119)"),
            "lost_page_token": invalid_locator(),
            "forbidden": ApiError(403, "INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id"),
            "no_read_right": unsupported_object(fault.path.rpartition(" ")[2] or "Unknown"),
            "lock_timeout": ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        }  # fmt: skip

    def records(self, mode: str = "") -> records.OrgRecords:
        return records.OrgRecords(self.org, self.sandbox.rng)

    def grant(self, client_id: str, asked: Mapping[str, Any], base: str) -> dict[str, Any]:
        return self.grants.open_grant(client_id) | {"instance_url": base}

    def revoke(self, asked: Mapping[str, Any]) -> int:
        if "token" in asked:
            return int(self.grants.revoke(asked["token"]))
        return self.grants.revoke_client(asked.get("client_id"))

    def revoke_all(self) -> None:
        """All grants, and the sessions no grant opened."""
        self.grants.revoke_client(None)
        self.grants.end_all_sessions()

    def expire(self, asked: Mapping[str, Any]) -> int:
        if "token" in asked:
            self.grants.end_session(asked["token"])
            return 1
        return self.grants.end_all_sessions()

    def forget_page_tokens(self) -> None:
        self.queries.forget_locators()

    def plant(self, demo: bool) -> None:
        records.plant(self.org, demo)

    def connect(self, base: str) -> dict[str, str]:
        return {"Base URL": base, "Client ID": apps.DEFAULT_CLIENT_ID, "Client secret": apps.DEFAULT_CLIENT_SECRET}
