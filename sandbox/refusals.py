"""An upstream's way of saying no, whatever its words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response


class Refusal(Exception):
    """Raised anywhere below a side's routes or verbs; `JsonRefusal` serves, unless a side has a class of its own."""

    status: int
    message: str

    @abstractmethod
    def response(self) -> Response:
        """The refusal as the upstream would send it."""


class JsonRefusal(Refusal):
    """A refusal that is a status and a JSON body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None):
        super().__init__(str(body))
        self.status, self.message, self.body, self.headers = status, str(body), body, headers

    def response(self) -> Response:
        return JSONResponse(self.body, self.status, self.headers)
