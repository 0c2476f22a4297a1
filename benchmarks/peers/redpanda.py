"""Redpanda Connect's components (Go), embedded by mq-bridge-connect: http_client, unarchive, nats_jetstream.

Paged as its documentation says; 1,024 messages in flight. No binary of its own is in the package registries.
"""

import os

import mq_bridge
import mq_bridge_connect

UPSTREAM, NATS_URL = os.environ["UPSTREAM"], os.environ["NATS_URL"]
INPUT = f"""
input:
  read_until:
    check: '!this.has_more'
    input:
      http_client:
        url: {UPSTREAM}/v1/customers?limit=100&starting_after=${{! this.data.index(-1).id | "" }}
        verb: GET
        rate_limit: ""
pipeline:
  processors:
    - mapping: root = this.data
    - unarchive:
        format: json_array
logger:
  level: ERROR
"""
OUTPUT = f"""
output:
  nats_jetstream:
    urls: [ "{NATS_URL}" ]
    subject: bench.stripe.customers.${{! this.id }}
    max_in_flight: 1024
logger:
  level: ERROR
"""

mq_bridge_connect.register()
route = {
    "input": {"custom": {"name": "connect", "config": {"yaml": INPUT}}},
    "output": {"custom": {"name": "connect", "config": {"yaml": OUTPUT}}},
    "batch_size": 1000,
}
mq_bridge.Route.from_config({"bench": route}, "bench").run()
