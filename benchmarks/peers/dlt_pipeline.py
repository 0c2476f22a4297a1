"""dlt: its rest_api source into a custom destination that publishes each batch of 1,000."""

import os
import tempfile
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
from dlt.sources.rest_api import rest_api_source
from publisher import UPSTREAM, InThread

publisher = InThread()


@dlt.destination(batch_size=1000, name="nats_out")
def nats_out(items: list[dict[str, Any]], table: Any) -> None:
    publisher.publish(items)


PAGING = {"type": "cursor", "cursor_path": "data[-1].id", "cursor_param": "starting_after"}
CUSTOMERS = {
    "name": "customers",
    "primary_key": "id",
    "write_disposition": "append",
    "endpoint": {"path": "customers", "params": {"limit": 100}, "data_selector": "data"},
}
source = rest_api_source({"client": {"base_url": f"{UPSTREAM}/v1/", "paginator": PAGING}, "resources": [CUSTOMERS]})
with tempfile.TemporaryDirectory() as folder:
    dlt.pipeline("bench", destination=nats_out, dataset_name="bench", pipelines_dir=folder).run(source)
