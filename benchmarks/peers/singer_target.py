"""singer-sdk: a target that publishes each batch of 1,000."""

from typing import Any

from publisher import InThread
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

publisher = InThread()


class NatsSink(BatchSink):
    max_size = 1000

    def process_batch(self, context: dict[str, Any]) -> None:
        publisher.publish(context["records"])


class TargetNats(Target):
    name = "target-nats"
    config_jsonschema = th.PropertiesList().to_dict()
    default_sink_class = NatsSink


TargetNats.cli(["--config", "ENV"])
