"""A whole side in few lines: widgets and their notes, by key or OAuth, with limits, page tokens and webhooks."""

import hmac

from starlette.responses import Response

from sandbox.kit.access import Pass
from sandbox.kit.oauth import Rules
from sandbox.kit.query import Wanted
from sandbox.kit.rest_side import RestSide
from sandbox.kit.table import Table
from sandbox.refusals import JsonRefusal

WIDGETS = Table("widgets", lambda make: {"fields": {"name": f"Widget {make.serial('widgets')}"}}, demo=30, always=1,
                edit=lambda rng: {"fields": {"size": rng.randint(1, 9)}}, weight=2, updated=("fields.updated",),
                versions=("fields.version",), marks=("archived",))  # fmt: skip
NOTES = Table("notes", lambda make: {"widget": make.link("widgets"), "text": "…"}, demo=60, facet="widget")


def problem(status, words):
    return JsonRefusal(status, {"problem": words})


class Tiny(RestSide):
    key, label, catalogue, page_token_mark, sends_webhooks = "tiny", "Tiny", (WIDGETS, NOTES), "after=", True
    ready_keys = {"tiny_demo": Pass()}
    rules = Rules("/oauth/ask", "/oauth/token", {"widgets": "See widgets", "notes": "See notes"}, "ta_", rotates=True)
    own_settings = {"budget_calls": 0, "token_ttl_s": 3600}

    def sign(self, hook, body, now_ms):
        return {"X-Sign": hmac.digest(hook.secret.encode(), body, "sha256").hex()}

    def routes(self):
        return [*self.flow.routes(), self.get("/widgets", self.widgets, "widgets"),
                self.get("/widgets/{id}/notes", self.notes, "notes")]  # fmt: skip

    async def widgets(self, request):
        token = request.query_params.get("after")
        if token and self.page_tokens.read(token) is None:
            raise problem(400, "unknown page")
        place = self.page_tokens.read(token) if token else None
        rows = self.tables.page("widgets", after=place, limit=10)
        after = self.page_tokens.make(*self.tables.place("widgets", rows[-1], "updated")) if len(rows) == 10 else None
        return self.answer(rows, after)

    async def notes(self, request):
        return self.answer(self.tables.page("notes", Wanted(facet=request.path_params["id"]), order="id"))

    def answer(self, rows, after=None):
        headers = {"X-Next": after} if after else {}
        return Response("[" + ",".join(row.body for row in rows) + "]", headers=headers, media_type="application/json")

    def headers(self, request, left):
        return {"X-Left": str(left.left)}

    def over_budget(self, left):
        return problem(429, "spent")

    def unauthorized(self, shown, is_expired):
        return problem(401, "expired" if is_expired else "unknown")

    def missing_scope(self, scopes):
        return problem(403, f"needs {scopes[0]}")

    def refusals(self, fault, token):
        kinds = {"rate_limit": 429, "quota": 403, "server_error": 500, "lost_page_token": 400, "forbidden": 403}
        return {kind: problem(status, kind) for kind, status in kinds.items()}
