"""The ASGI application: both providers, the control API and the sandbox's own pages on one port."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import control, control_records, seed
from sandbox.apps import Apps
from sandbox.churn import Churn
from sandbox.clock import Clock, readable
from sandbox.console import pages
from sandbox.edge import Edge
from sandbox.faults import Faults
from sandbox.rawjson import dump, load
from sandbox.salesforce import bulk_routes
from sandbox.salesforce import faults as salesforce_faults
from sandbox.salesforce import oauth as salesforce_oauth
from sandbox.salesforce import rest as salesforce_rest
from sandbox.salesforce.bulk import BulkJobs
from sandbox.salesforce.grants import Grants
from sandbox.salesforce.org import Org
from sandbox.salesforce.queries import Queries
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.stripe import faults as stripe_faults
from sandbox.stripe import oauth as stripe_oauth
from sandbox.stripe import rest as stripe_rest
from sandbox.stripe.account import Account
from sandbox.stripe.keys import Keys
from sandbox.stripe.lists import Lists

HERE = Path(__file__).parent
QUOTA_KEPT_EVERY = 100


class Salesforce:
    """Everything that makes up the Salesforce side."""

    def __init__(self, sandbox: Sandbox):
        self.org = Org(sandbox.store, sandbox.clock, lambda: sandbox.settings)
        self.grants = Grants(self.org)
        self.queries = Queries(self.org)
        self.bulk = BulkJobs(self.queries)
        self.schema_changed_ms = sandbox.clock.now_ms()

    def schema_changed(self) -> None:
        """A field came or went: `describe` is no longer what clients remember."""
        self.schema_changed_ms = max(self.org.clock.now_ms(), self.schema_changed_ms + 1_000)


class Stripe:
    """Everything that makes up the Stripe side."""

    def __init__(self, sandbox: Sandbox):
        self.account = Account(sandbox.store, sandbox.clock, lambda: sandbox.settings)
        self.keys = Keys(self.account)
        self.grants = stripe_oauth.AppGrants(self.keys)
        self.lists = Lists(self.account)


class Sandbox:
    """One sandbox with its data folder."""

    def __init__(self, data_dir: Path, seed_name: str, churn_s: float | None):
        data_dir.mkdir(parents=True, exist_ok=True)
        self.seed_name = seed_name
        self.store = Store(data_dir / "sandbox.sqlite3")
        kept = self.store.note("settings", "all")
        self.settings = Settings().changed(load(kept)) if kept else Settings()
        if churn_s is not None:
            self.settings = self.settings.changed({"churn_s": churn_s})
        self.clock = Clock(self.settings.clock_skew_s)
        self.faults = Faults()
        self.requests: Counter[str] = Counter()
        self.connections: set[Any] = set()  # uvicorn's, once it serves
        self.pages = Jinja2Templates(HERE / "templates")
        self.pages.env.filters["readable"] = readable
        self._assemble()

    def _assemble(self) -> None:
        self.apps = Apps(self.store)
        self.salesforce = Salesforce(self)
        self.stripe = Stripe(self)
        self.churn = Churn(self)
        self.fault_answers = {
            "salesforce": partial(salesforce_faults.answer, self.salesforce),
            "stripe": partial(stripe_faults.answer, self.stripe),
        }
        if self.store.note("seed", "done") is None:
            with self.store.transaction():
                seed.plant(self)
                self.store.keep_note("seed", "done", self.seed_name)

    def change_settings(self, changes: dict[str, Any]) -> None:
        """Apply and keep. Raises ValueError, with a sentence, for what cannot be."""
        self.settings = self.settings.changed(changes)
        self.clock.skew_s = self.settings.clock_skew_s
        self.keep_settings()

    def keep_settings(self) -> None:
        self.store.keep_note("settings", "all", dump(self.settings.as_dict()).decode())

    def use_quota(self) -> None:
        """Count one Salesforce call."""
        used = self.settings.quota_used + 1
        self.settings = self.settings.changed({"quota_used": used})
        if used % QUOTA_KEPT_EVERY == 0:
            self.keep_settings()

    def reset(self, seed_name: str | None = None) -> None:
        """Back to the beginning: records, keys, grants, faults and settings; what runs goes on running."""
        self.seed_name = seed_name or self.seed_name
        churn_s = self.settings.churn_s
        self.store.clear()
        self.faults.clear()
        self.requests.clear()
        self.settings = Settings().changed({"churn_s": churn_s})
        self.clock.skew_s = 0.0
        self._assemble()

    def close(self) -> None:
        self.keep_settings()
        self.store.close()


class OptionalGzip:
    """Compress answers while the setting says so."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox):
        self.plain, self.sandbox = app, sandbox
        self.packed = GZipMiddleware(app, minimum_size=500, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.packed if self.sandbox.settings.gzip else self.plain)(scope, receive, send)


def create_app(
    data_dir: Path | str, seed: str = "demo", churn_s: float | None = 0.0, allowed_hosts: tuple[str, ...] = ()
) -> Starlette:
    """The sandbox as an ASGI app; `app.state.sandbox` is what stands behind it.

    seed           `demo` or `empty`; planted once, when the data folder is new
    churn_s        seconds between its own changes; 0 for none; None for what was last set
    allowed_hosts  names it may be reached by besides the loopback ones
    """
    sandbox = Sandbox(Path(data_dir), seed, churn_s)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(sandbox.churn.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        sandbox.close()

    app = Starlette(
        routes=[
            Mount("/salesforce", routes=[*salesforce_oauth.ROUTES, *salesforce_rest.ROUTES, *bulk_routes.ROUTES]),
            Mount("/stripe", routes=[*stripe_oauth.ROUTES, *stripe_rest.ROUTES]),
            Mount("/_control", routes=[*control.ROUTES, *control_records.ROUTES]),
            Mount("/_static", StaticFiles(directory=HERE / "static")),
            *pages.ROUTES,
        ],
        middleware=[
            Middleware(Edge, sandbox=sandbox, allowed_hosts=allowed_hosts),
            Middleware(OptionalGzip, sandbox=sandbox),
        ],
        exception_handlers=pages.EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    app.router.redirect_slashes = False
    return app
