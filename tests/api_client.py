"""A caller of the API in tests: JSON in, JSON out, one for each role."""

import json
from typing import Any

from django.test import Client

from sequin_console.accounts.rights import Role
from tests import factories


class ApiClient:
    """Calls `/v1` with the token of a role; `None` sends no token."""

    def __init__(self, role: Role | str | None = Role.ADMIN) -> None:
        self.role = role
        self.headers: dict[str, str] = {}
        if role is not None:
            token, text = factories.make_token(role)
            self.token, self.headers = token, {"Authorization": f"Bearer {text}"}
        self._client = Client(REMOTE_ADDR="192.0.2.9")

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The response; `body` is sent as JSON, text and bytes as they are."""
        raw = body if isinstance(body, str | bytes) else b"" if body is None else json.dumps(body)
        return self._client.generic(
            method,
            f"/v1/{path}",
            raw,
            content_type="application/json",
            headers=self.headers,
            query_params={name: str(value) for name, value in query.items()} or None,
        )

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Any:
        return self.call("PATCH", path, body)

    def delete(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.call("DELETE", path, body, **query)


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error an answer carries; its status and shape are asserted."""
    assert response.status_code == status, response.content.decode()
    assert response.headers["Content-Type"].startswith("application/json")
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"kind", "message", "next_step", "fields"}
    assert error["kind"]
    assert error["message"]
    assert all(isinstance(text, str) for texts in error["fields"].values() for text in texts)
    return error
