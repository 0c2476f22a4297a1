"""What a world's web process says of its database, and waiting for it to say so."""

import json
import urllib.error
import urllib.request

from tests.faults.stage import REST_S, Stage


def ask(stage: Stage, path: str) -> tuple[int, str]:
    """Status and body; 0 when nothing answers."""
    somebody = {
        "Authorization": "Bearer sqn_unknown",
        "Cookie": "sequin_session=unknown-to-everybody",
    }  # to be looked up
    request = urllib.request.Request(stage.world.url + path, headers=somebody)
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def readiness(stage: Stage) -> tuple[bool, str]:
    """What /readyz says of the database."""
    _, body = ask(stage, "/readyz")
    part = json.loads(body)["database"] if body.startswith("{") else {"ok": False, "detail": body}
    return part["ok"], part["detail"]


def wait_until_said(stage: Stage, *words: str) -> None:
    """Until the trouble is named in one of these words."""
    stage.world.wait_for(
        lambda: any(one in readiness(stage)[1] for one in words),
        REST_S,
        lambda: f"not said: {words}: {readiness(stage)}",
    )


def start_all(stage: Stage) -> None:
    stage.world.start("web", "syncs", "consumers", "scheduler")
    stage.world.wait_for(lambda: readiness(stage)[0], REST_S, "the console does not come up")
