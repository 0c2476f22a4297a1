"""One writer per place: no two consumers may write the same subjects of the same account."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from consumers.models import NatsConsumer
from sequin_console.common.problems import field_problem


def check_free_name(name: str, *, but: NatsConsumer | None = None) -> None:
    """Raises Problem when another consumer has this name."""
    taken = NatsConsumer.objects.filter(name=name)
    if (taken.exclude(pk=but.pk) if but else taken).exists():
        raise field_problem("name", f"There is a consumer called “{name}” already.", next_step="Choose another name.")


def check_no_overlap(values: Mapping[str, Any], sync_id: UUID | None, *, but: NatsConsumer | None = None) -> None:
    """Raises Problem naming the other consumer when both would write the same sync's subjects in one account.

    Collections do not part them: the fence watches the whole sync, so two writers would keep refusing each other.
    """
    others = NatsConsumer.objects.filter(subject_prefix=values["subject_prefix"])
    for other in others.exclude(pk=but.pk) if but else others:
        is_same_sync = sync_id is None or other.sync_id is None or sync_id == other.sync_id
        if is_same_sync and is_same_account(values, other):
            raise field_problem(
                "subject_prefix",
                f"The consumer “{other.name}” writes {other.subject_prefix} in this NATS account already.",
                next_step="Choose another subject prefix, another sync, or change that consumer.",
                kind="conflict",
            )


def is_same_account(values: Mapping[str, Any], other: NatsConsumer) -> bool:
    """By the account in the JWT where both have one; else by a host in common."""
    own, theirs = values["jwt_facts"].get("account"), other.jwt_facts.get("account")
    if own and theirs:
        return bool(own == theirs)
    return bool({host.lower() for host in values["hosts"]} & {host.lower() for host in other.hosts})


def starts_over(consumer: NatsConsumer, values: Mapping[str, Any]) -> bool:
    """Whether a change means that everything must be sent again: another place, or collections not sent before."""
    if values["subject_prefix"] != consumer.subject_prefix:
        return True
    if values["jwt_facts"].get("account") != consumer.jwt_facts.get("account"):
        return True
    if not values["jwt_facts"] and not set(values["hosts"]) & set(consumer.hosts):
        return True
    old, new = consumer.collection_ids, values["collection_ids"]
    return old is not None and (new is None or not set(new) <= set(old))
