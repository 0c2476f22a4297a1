"""The ASGI application: all sides, the control API and the sandbox's own pages on one port."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Router
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
from sandbox.kit.webhooks import Courier
from sandbox.rawjson import dump, load
from sandbox.settings import Settings
from sandbox.side import Side
from sandbox.sides import SIDES
from sandbox.store import Store

HERE = Path(__file__).parent


class Sandbox:
    """One sandbox with its data folder. `sides` has the providers by key."""

    def __init__(self, data_dir: Path, seed_name: str, churn_s: float | None, side_types: Sequence[type[Side]]):
        data_dir.mkdir(parents=True, exist_ok=True)
        self.seed_name, self.side_types = seed_name, side_types
        self.store = Store(data_dir / "sandbox.sqlite3")
        first, kept = self._first_settings(), load(self.store.note("settings", "all") or "{}")
        known = first.as_dict()
        self.settings = first.changed({name: value for name, value in kept.items() if name in known})
        if churn_s is not None:
            self.settings = self.settings.changed({"churn_s": churn_s})
        self.clock = Clock(self.settings.clock_skew_s)
        self.faults = Faults(side_types)
        self.courier = Courier(self)
        self.requests: Counter[str] = Counter()
        self.connections: set[Any] = set()  # uvicorn's, once it serves
        self.pages = Jinja2Templates(HERE / "templates")
        self.pages.env.filters["readable"] = readable
        self._assemble()

    def _assemble(self) -> None:
        self.rng = random.Random(seed.SEED + 1)
        self.apps = Apps(self.store)
        self.churn = Churn(self)
        self.sides = {made.key: made(self) for made in self.side_types}
        self.routers = {key: Router(side.routes(), redirect_slashes=False) for key, side in self.sides.items()}
        seed.plant(self)

    def _first_settings(self) -> Settings:
        own = {f"{made.key}_{name}": value for made in self.side_types for name, value in made.own_settings.items()}
        return Settings(own=own)

    def side(self, key: str) -> Side:
        """The side of this name. Raises ValueError."""
        if key not in self.sides:
            raise ValueError(f"provider must be one of {', '.join(self.sides)}")
        return self.sides[key]

    def change_settings(self, changes: dict[str, Any]) -> None:
        """Apply and keep. Raises ValueError, with a sentence, for what cannot be."""
        self.settings = self.settings.changed(changes)
        self.clock.skew_s = self.settings.clock_skew_s
        self.keep_settings()

    def keep_settings(self) -> None:
        self.store.keep_note("settings", "all", dump(self.settings.as_dict()).decode())

    def reset(self, seed_name: str | None = None) -> None:
        """Back to the beginning: records, keys, grants, faults and settings; what runs goes on running."""
        self.seed_name = seed_name or self.seed_name
        churn_s = self.settings.churn_s
        self.store.clear()
        self.faults.clear()
        self.courier.sent.clear()
        self.requests.clear()
        self.settings = self._first_settings().changed({"churn_s": churn_s})
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


class Mounted:
    """One side's routes, whatever the last reset made of them; endpoints find the side in `scope["side"]`."""

    def __init__(self, sandbox: Sandbox, key: str):
        self.sandbox, self.key = sandbox, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["side"] = self.sandbox.sides[self.key]
        await self.sandbox.routers[self.key](scope, receive, send)


def create_app(
    data_dir: Path | str,
    seed: str = "demo",
    churn_s: float | None = 0.0,
    allowed_hosts: tuple[str, ...] = (),
    sides: Sequence[type[Side]] = SIDES,
) -> Starlette:
    """The sandbox as an ASGI app; `app.state.sandbox` is what stands behind it.

    seed           `demo` or `empty`; planted once, when the data folder is new
    churn_s        seconds between its own changes; 0 for none; None for what was last set
    allowed_hosts  names it may be reached by besides the loopback ones
    sides          the providers it plays
    """
    sandbox = Sandbox(Path(data_dir), seed, churn_s, sides)
    own_control = [route for side in sides for route in side.control_routes()]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(sandbox.churn.run()), asyncio.create_task(sandbox.courier.run())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sandbox.close()

    app = Starlette(
        routes=[
            *[Mount(f"/{side.key}", app=Mounted(sandbox, side.key)) for side in sides],
            Mount("/_control", routes=[*control.ROUTES, *control_records.ROUTES, *own_control]),
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
