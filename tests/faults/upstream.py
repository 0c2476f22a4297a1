"""Somebody works upstream while the world is on fire: records are created, changed, deleted and brought back."""

import random
import threading
from typing import Any

from sandbox.process import RunningSandbox

PROVIDER = "salesforce"


class Editor(threading.Thread):
    """A thread that edits, `pause_s` between two edits on average, until `stop`. Same seed, same choices."""

    def __init__(self, sandbox: RunningSandbox, objects: list[str], *, seed: int, pause_s: float = 0.05) -> None:
        super().__init__(name="editor", daemon=True)
        self.sandbox, self.objects, self.pause_s = sandbox, objects, pause_s
        self.edits = 0
        self.error: Exception | None = None
        self._random = random.Random(seed)
        self._done = threading.Event()
        self._live: dict[str, list[str]] = {}
        self._binned: dict[str, list[str]] = {name: [] for name in objects}

    def run(self) -> None:
        try:
            for name in self.objects:
                self._live[name] = sorted(self.sandbox.control("GET", f"records/{PROVIDER}/{name}")["records"])
            while not self._done.wait(self._random.uniform(0, 2 * self.pause_s)):
                self._edit()
                self.edits += 1
        except Exception as error:  # told by stop()
            self.error = error

    def stop(self) -> None:
        """Returns when the last edit is done. Raises what went wrong."""
        self._done.set()
        self.join(30)
        if self.error is not None:
            raise self.error

    def _edit(self) -> None:
        name = self._random.choice(self.objects)
        live, binned, chance = self._live[name], self._binned[name], self._random.random()
        if chance < 0.1 or not live:
            live.append(self._call("POST", name)["id"])
        elif chance < 0.2:
            record = live.pop(self._random.randrange(len(live)))
            self._call("DELETE", f"{name}/{record}")
            binned.append(record)
        elif chance < 0.25 and binned:
            record = binned.pop(self._random.randrange(len(binned)))
            self._call("POST", f"{name}/{record}/undelete")
            live.append(record)
        else:  # a few records over and over, for they show best what is out of order
            few = live[:20] if chance < 0.6 else live
            self._call("PATCH", f"{name}/{self._random.choice(few)}", {"OwnerId": f"005{self.edits:015}"})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self.sandbox.control(method, f"records/{PROVIDER}/{path}", body)
