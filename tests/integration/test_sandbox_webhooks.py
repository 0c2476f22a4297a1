"""The sandbox's webhooks: signed, in order, tried again; twice, late or never when a fault says so."""

import hmac
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from starlette.testclient import TestClient

from sandbox.app import create_app
from tests.unit.sandbox.tiny import Tiny


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; refuses the first `refusals` of it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taker)
        self.got, self.refusals = [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def wait_until(self, count, events_of=lambda body: 1):
        """Wait for so many events; a body may hold several."""
        deadline = time.monotonic() + 60
        while sum(events_of(body) for body, _ in list(self.got)) < count:
            assert time.monotonic() < deadline, f"{len(self.got)} deliveries came, of {count} events"
            time.sleep(0.02)

    def wait_for(self, count):
        self.wait_until(count)
        return [(json.loads(body)["fields"]["version"], json.loads(body)["id"]) for body, _ in self.got]


class Taker(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        if not refused:
            self.server.got.append((body, dict(self.headers)))
        self.send_response(500 if refused else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def listening(folder):
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    app = create_app(folder, "empty", sides=(Tiny,))
    try:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            asked = {"provider": "tiny", "url": receiver.url, "secret": "s3", "events": ["widgets.updated"]}
            client.post("/_control/webhooks", json=asked).raise_for_status()
            yield client, receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join(5)


def change(client, times):
    for number in range(times):
        client.patch("/_control/records/tiny/widgets/1", json={"fields": {"size": number}}).raise_for_status()


def test_each_change_is_sent_signed_and_in_order_to_who_wants_it(tmp_path):
    with listening(tmp_path) as (client, receiver):
        client.post("/_control/records/tiny/widgets").raise_for_status()  # created: not asked for
        change(client, 5)
        assert receiver.wait_for(5) == [(version, 1) for version in range(2, 7)]
        for body, headers in receiver.got:
            assert headers["X-Sign"] == hmac.digest(b"s3", body, "sha256").hex()
        sent = client.get("/_control/webhooks/tiny").json()["sent"]
        assert [(item["event"], item["outcome"]) for item in sent] == [("widgets.updated", "204")] * 5


@pytest.mark.parametrize(
    ("kind", "versions"),
    [("webhook_duplicate", [2, 2, 3, 4]), ("webhook_out_of_order", [3, 2, 4]), ("webhook_drop", [3, 4])],
)
def test_a_fault_strikes_the_first(tmp_path, kind, versions):
    with listening(tmp_path) as (client, receiver):
        client.post("/_control/faults", json={"provider": "tiny", "kind": kind, "times": 1}).raise_for_status()
        change(client, 3)
        assert [version for version, _ in receiver.wait_for(len(versions))] == versions


def test_one_held_back_comes_though_nothing_follows(tmp_path):
    with listening(tmp_path) as (client, receiver):
        client.post("/_control/faults", json={"provider": "tiny", "kind": "webhook_out_of_order", "times": 1})
        change(client, 1)
        assert receiver.wait_for(1) == [(2, 1)]


def test_what_a_receiver_refuses_is_sent_again(tmp_path):
    with listening(tmp_path) as (client, receiver):
        receiver.refusals = 1
        change(client, 1)
        assert receiver.wait_for(1) == [(2, 1)]
        assert [item["attempt"] for item in client.get("/_control/webhooks/tiny").json()["sent"]][-1] == 2


def test_addresses_elsewhere_are_refused(tmp_path):
    with listening(tmp_path) as (client, _):
        asked = {"provider": "tiny", "url": "http://example.com/hook"}
        assert client.post("/_control/webhooks", json=asked).status_code == 400
