"""The least rights a NATS user needs, as blocks to paste: server config, nsc, Synadia's screen. Pure.

Tried on nats-server 2.15.1 (DESIGN.md, NATS as it really behaves): a user allowed only to publish and subscribe the
prefix cannot receive acknowledgements, and an inbox inside the prefix would store every acknowledgement as a record.
"""

from dataclasses import dataclass

from consumers.streams import recommended_name

INBOX = "_INBOX_sequin"


@dataclass(frozen=True)
class Rights:
    """What one kind of user may do."""

    title: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def server_config(self) -> str:
        """The `permissions` part of a user in a nats-server configuration file."""
        return (
            "permissions: {\n"
            f"  publish: {{ allow: [{_quoted(self.publish)}] }}\n"
            f"  subscribe: {{ allow: [{_quoted(self.subscribe)}] }}\n"
            "}"
        )

    @property
    def nsc(self) -> str:
        """The nsc command; the names in capitals are yours to fill in."""
        publish, subscribe = ",".join(self.publish), ",".join(self.subscribe)
        return f"nsc edit user --account ACCOUNT --name USER --allow-pub '{publish}' --allow-sub '{subscribe}'"

    @property
    def synadia(self) -> str:
        """What to enter in Synadia Cloud or Control Plane: the user's Permissions, one subject a line."""
        return "Publish, allow:\n" + "\n".join(self.publish) + "\n\nSubscribe, allow:\n" + "\n".join(self.subscribe)


def publisher(prefix: str, stream: str = "", *, api: str = "$JS.API", inbox: str = "") -> Rights:
    """What this console's own user needs."""
    stream = stream or recommended_name(prefix)
    return Rights(
        "To publish",
        (f"{prefix}.>", f"{api}.STREAM.NAMES", f"{api}.STREAM.INFO.{stream}", f"{api}.STREAM.MSG.GET.{stream}"),
        (f"{inbox or INBOX}.>",),
    )


def viewer(prefix: str, stream: str = "", *, api: str = "$JS.API", inbox: str = "") -> Rights:
    """What the live viewer needs on top: an ordered JetStream reader."""
    own = publisher(prefix, stream, api=api, inbox=inbox)
    stream = stream or recommended_name(prefix)
    extra = (f"{api}.CONSUMER.CREATE.{stream}.>", "$JS.FC.>")
    return Rights("To publish and watch live", own.publish + extra, own.subscribe)


def as_commands(prefix: str, stream: str = "", *, api: str = "$JS.API", inbox: str = "") -> list[dict[str, str]]:
    """All blocks as label and text, for a page or an API answer."""
    blocks = []
    for rights in (publisher(prefix, stream, api=api, inbox=inbox), viewer(prefix, stream, api=api, inbox=inbox)):
        blocks += [
            {"label": f"{rights.title}: server configuration", "text": rights.server_config},
            {"label": f"{rights.title}: nsc", "text": rights.nsc},
            {"label": f"{rights.title}: Synadia, Permissions of the user", "text": rights.synadia},
        ]
    return blocks


def stream_add(prefix: str, stream: str = "") -> str:
    """The line that creates the stream as we recommend it, for the nats command line tool."""
    name = stream or recommended_name(prefix)
    return (
        f'nats stream add {name} --subjects "{prefix}.>" --storage file --retention limits '
        "--discard old --max-msgs-per-subject 1 --allow-direct --allow-batch --defaults"
    )


def reading_lines(prefix: str, stream: str, sync_id: str = "", reader: str = "my_reader") -> list[str]:
    """How to read the records with the nats command line tool: stream, JetStream consumer, next message."""
    subject = f"{prefix}.{sync_id}.>" if sync_id else f"{prefix}.>"
    name = stream or recommended_name(prefix)
    return [
        stream_add(prefix, stream),
        f'nats consumer add {name} {reader} --pull --deliver all --ack explicit --filter "{subject}" --defaults',
        f"nats consumer next {name} {reader} | tail -n 1 | jq",
    ]


def _quoted(subjects: tuple[str, ...]) -> str:
    return ", ".join(f'"{subject}"' for subject in subjects)
