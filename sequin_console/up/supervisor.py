"""Brings everything up step by step, keeps it up, and takes it down in order."""

import http.client
import io
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from sequin_console.common import heartbeats
from sequin_console.up import nats_server, plan, runfile
from sequin_console.up.crew import Crew
from sequin_console.up.ground import Ground
from sequin_console.up.watch import CLUSTERS, SCHEDULER, Reader, Watch

TICK_S = 0.2
START_S = 60.0
FAILURES_ALLOWED = 4  # while starting; later a child may fail as often as it likes
ADMIN = "admin"


class Failed(Exception):
    """A part that everything else needs did not come up."""


class Stopped(Exception):
    """We were told to stop while coming up."""


class Supervisor:
    """One run of `up`. `run` returns the exit code."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.say = ground.say
        self.crew = Crew(ground.data_dir / "logs", self.say, changed=self._write_run_file)
        self.node = f"{socket.gethostname()[:60]}-{os.getpid()}"
        self.watch, self.reader = Watch(self.node), Reader()
        self.signals = 0
        self._is_announced = False
        self._at_work = False

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        code = 0
        try:
            self._bring_up()
            self._keep_up()
        except Stopped:
            pass
        except Failed as failure:
            self.say(str(failure))
            code = 1
        finally:
            self._take_down()
        return code

    def _on_signal(self, number: int, frame: Any) -> None:
        self.signals += 1

    # --- Up --------------------------------------------------------------------------------------------------------

    def _bring_up(self) -> None:
        """1. NATS, console and sandbox start, and meanwhile the tables are made. 2. The link is shown, for people wait
        for it. 3. Workers, scheduler and the demo's workspace start, while somebody already signs in."""
        ground = self.ground
        self.crew.start(plan.nats(ground))
        self.crew.start(plan.web(ground))
        if ground.demo:
            self.crew.start(plan.sandbox(ground))
        try:
            self.say(f"tables: {self._migrate()}")
        except DatabaseError as error:
            raise Failed(f"The database does not answer: {str(error).strip()}") from error
        link = self._signin_link()
        greeting = self._wait("nats", lambda: nats_server.greeting(ground.ports["nats"]))
        self.say(f"nats-server {greeting['version']} with JetStream: {ground.nats_url}")
        if ground.demo:
            self.say(f"sandbox, which stands in for all providers: {ground.sandbox_url}")
        self._wait("web", lambda: is_answering(ground.url, "/healthz"))
        for spec in (*plan.workers(self.node), *((plan.demo(),) if ground.demo else ())):
            self.crew.start(spec)
        self._is_announced = True
        self._write_run_file()
        self.reader.start()
        self._greet(link)

    def _migrate(self) -> str:
        """Bring the tables up to date; the queue's own file holds django-q2's alone (common/routers.py)."""
        count = 0
        for alias in connections:
            apps = ["django_q"] if alias == "queue" else []
            executor = MigrationExecutor(connections[alias])
            if plan_ := executor.migration_plan(executor.loader.graph.leaf_nodes(*apps)):
                call_command("migrate", *apps, database=alias, interactive=False, verbosity=0, skip_checks=True)
                count += len(plan_)
        heartbeats.forget(
            socket.gethostname()[:60]
        )  # the last run's, or /readyz would believe for a while that all work
        connections.close_all()
        return f"{count} migrations applied" if count else "up to date"

    def _wait(self, name: str, ready: Callable[[], Any]) -> Any:
        """What `ready` gives, as soon as it gives something. Raises Failed, or Stopped when told to stop meanwhile."""
        deadline_s = time.monotonic() + START_S
        while not (found := ready()):
            if self.signals:
                raise Stopped
            self.crew.tick(time.monotonic())
            if self.crew.failures(name) >= FAILURES_ALLOWED or time.monotonic() > deadline_s:
                raise Failed(f"{name} does not start; see {self.crew.log_of(name)}")
            time.sleep(0.05)
        return found

    def _greet(self, link: str) -> None:
        self.say("console is up; workers and scheduler are starting")
        self.ground.write(
            f"\n    Console   {settings.PUBLIC_URL}\n    Sign in   {link}\n"
            f"              once, within 24 hours, as {ADMIN}; more: python manage.py signin_link {ADMIN}\n"
            f"    Stop      Ctrl-C; all data stays in {self.ground.data_dir}\n\n"
        )

    def _signin_link(self) -> str:
        out = io.StringIO()
        try:
            call_command("signin_link", ADMIN, stdout=out, stderr=io.StringIO())
        except CommandError as error:
            return f"no link: {error}"
        finally:
            connections.close_all()
        return out.getvalue().strip()

    # --- Keep up ---------------------------------------------------------------------------------------------------

    def _keep_up(self) -> None:
        while not self.signals:
            now_s = time.monotonic()
            self.crew.tick(now_s)
            beats = self.reader.take()
            if beats is not None:
                self.watch.see(beats, now_s)
                for name, why in self.watch.hung(self.crew.started_s(), now_s).items():
                    self.crew.replace(name, why)
                self._say_when_at_work()
            time.sleep(TICK_S)

    def _say_when_at_work(self) -> None:
        started_s = self.crew.started_s()
        if not self._at_work and all(
            name in started_s and self.watch.has_beaten(name, started_s[name]) for name in (SCHEDULER, *CLUSTERS)
        ):
            self._at_work = True
            self.say("workers and scheduler are at work")

    def _write_run_file(self) -> None:
        if not self._is_announced:
            return
        facts = {
            "console_url": settings.PUBLIC_URL,
            "nats_url": self.ground.nats_url,
            "sandbox_url": self.ground.sandbox_url,
            "pids": {"supervisor": os.getpid(), **self.crew.pids()},
            "started_at": self._started_at,
        }
        runfile.write(self.ground.data_dir, facts)

    _started_at = datetime.now(UTC).isoformat(timespec="seconds")

    # --- Down ------------------------------------------------------------------------------------------------------

    def _take_down(self) -> None:
        self._is_announced = False
        asked = self.signals
        self.say("stopping; once more to stop at once" if asked else "stopping")
        self.crew.stop(plan.STOP, is_urgent=lambda: self.signals > max(1, asked))
        runfile.remove(self.ground.data_dir)
        self.say("stopped")


def is_answering(url: str, path: str) -> bool:
    """Whether a web server answers there with anything but a server error."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    conn = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=2)
    try:
        conn.request("GET", path)
        return conn.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        conn.close()
