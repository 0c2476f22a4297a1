"""The children of `up`: what each runs, and in which order they end."""

from sequin_console.up import nats_server
from sequin_console.up.arguments import LOOPBACK
from sequin_console.up.ground import Ground
from sequin_console.up.process import Spec

CHURN_S = 4  # the demo's upstream changes a few records this often
# Who is asked to stop together, and for how many seconds they are waited for: people first, the broker last.
STOP = (
    (("web", "demo", "scheduler"), 3.0),
    (("syncs", "consumers"), 5.0),
    (("sandbox",), 1.0),
    (("nats",), 2.0),
)


def nats(ground: Ground) -> Spec:
    config = nats_server.write_config(ground.data_dir, ground.ports["nats"])
    return Spec("nats", (str(nats_server.binary()), "-c", str(config)))


def sandbox(ground: Ground) -> Spec:
    address = ("--host", LOOPBACK, "--port", str(ground.ports["sandbox"]))
    data = ("--data-dir", str(ground.data_dir / "sandbox"), "--churn-s", str(CHURN_S))
    return Spec("sandbox", ("-m", "sandbox", *address, *data, "--parent-dies"))


def web(ground: Ground) -> Spec:
    address = ("--host", ground.host, "--port", str(ground.ports["web"]))
    manner = ("--lifespan", "off", "--no-access-log", "--timeout-graceful-shutdown", "2")
    return Spec("web", ("-m", "uvicorn", "sequin_console.asgi:application", *address, *manner))


def workers(node: str) -> tuple[Spec, ...]:
    """Their heartbeats name the node, for others may work on the same queues."""
    return (
        *(
            Spec(name, ("manage.py", "qcluster"), {"Q_CLUSTER_NAME": name, "SEQUIN_NODE": node})
            for name in ("syncs", "consumers")
        ),
        Spec("scheduler", ("manage.py", "scheduler"), {"SEQUIN_NODE": node}),
    )


def demo() -> Spec:
    return Spec("demo", ("manage.py", "demo"), once=True)
