"""What can be done for a consumer before it is stored: create its stream."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from consumers import inputs, jetstream, streams
from consumers.connection import LinkError
from consumers.models import NatsConsumer
from sequin_console.common import audit, runner
from sequin_console.common.problems import Problem

WAIT_S = 30.0


def create_stream(data: Mapping[str, Any], consumer: NatsConsumer | None, *, by: Any) -> str:
    """Create the stream a form's consumer would send to, with the recommended settings; its name. Raises Problem."""
    values = inputs.columns({"name": "preflight", **data}, consumer, now=timezone.now())
    name = streams.recommended_name(values["subject_prefix"])

    async def work(_orm: runner.Orm) -> None:
        link = await jetstream.open_link(inputs.settings_of(values))
        try:
            await streams.create(link, name, values["subject_prefix"])
        finally:
            await link.close()

    try:
        runner.run(work, timeout_s=WAIT_S)
    except LinkError as error:
        raise Problem(error.message, kind=error.kind, next_step=error.next_step, status=409) from None
    except TimeoutError:
        raise Problem("NATS did not answer in time.", kind="broker", next_step="Try again.", status=409) from None
    audit.record(by, "stream.created", None, {"stream": name, "hosts": values["hosts"]})
    return name
