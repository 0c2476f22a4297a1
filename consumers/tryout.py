"""What can be done for a consumer before it is stored: create its stream."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from consumers import asking, inputs, streams
from consumers.models import NatsConsumer
from sequin_console.common import audit


def create_stream(data: Mapping[str, Any], consumer: NatsConsumer | None, *, by: Any) -> str:
    """Create the stream a form's consumer would send to, with the recommended settings; its name. Raises Problem."""
    values = inputs.columns({"name": "preflight", **data}, consumer, now=timezone.now())
    prefix = values["subject_prefix"]
    name = streams.recommended_name(prefix)
    asking.ask(inputs.settings_of(values), lambda link: streams.create(link, name, prefix))
    audit.record(by, "stream.created", None, {"stream": name, "hosts": values["hosts"]})
    return name
