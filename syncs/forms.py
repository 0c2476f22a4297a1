"""Forms of syncs, their collections and records. Services do the work and the checking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.http import QueryDict

from sequin_console.common.forms import choice
from syncs.budget import ALL
from syncs.coverage import hours
from syncs.models import Sync, SyncCollection
from syncs.providers.kit.catalogue import Field
from syncs.states import OnDrift, Removal

POLL_CHOICES = [
    (2, "Every 2 seconds"),
    (5, "Every 5 seconds"),
    (10, "Every 10 seconds"),
    (30, "Every 30 seconds"),
    (60, "Every minute"),
    (300, "Every 5 minutes"),
    (900, "Every 15 minutes"),
    (3600, "Every hour"),
    (21600, "Every 6 hours"),
    (86400, "Once a day"),
]
POLL_HELP = "How often we ask for what changed. More often is fresher, and uses more of the provider's request quota."
QUIET_HELP = "Looks that find nothing become rarer, down to this. The first that finds something ends it."

OWN, OTHER = "own", "hours"
SWEEP_PRESETS_H = (1, 6, 24, 7 * 24, 30 * 24, 0)
SWEEP_NOTES = {
    0: "Careful: a record that is deleted without a word then stays live on the stream for ever.",
}

DRIFT_NOTES = {
    OnDrift.CARRY_ON: "New fields arrive, removed ones go. It is noted.",
    OnDrift.TELL: "The same, and it is shown until somebody has looked.",
    OnDrift.STOP: "Nothing more of that collection is stored until somebody accepts the change.",
}

REMOVAL_NOTES = {
    Removal.LEAVE: "Readers keep what they have. It just stops changing.",
    Removal.TOMBSTONES: "Readers get a last message for each record: it is deleted. Choose this if they keep a copy.",
    Removal.PURGE: "The stream forgets the messages. Readers that have copied them are not told.",
}

SHARES = [100, 75, 50, 25, 10, 5, 1]
SHARE_HELP = (
    "How much of the provider's allowance this sync may use. At its share it waits for the next window and goes on by "
    "itself. Where the provider does not tell its allowance, no share can be kept."
)


def share_words(percent: int) -> str:
    return "All of it" if percent == ALL else f"{percent} %"


class StartForm(forms.Form):
    """The wizard's last step."""

    name = forms.CharField(label="Name of the sync", max_length=100)
    poll_s = forms.TypedChoiceField(label="Look for changes", coerce=int, choices=POLL_CHOICES, help_text=POLL_HELP)
    quiet_poll_s = forms.TypedChoiceField(
        label="While nothing changes",
        coerce=int,
        empty_value=None,
        required=False,
        choices=[(0, "Just as often"), *(choice for choice in POLL_CHOICES if 30 <= choice[0] <= 21_600)],
        help_text=QUIET_HELP,
    )
    quota_percent = forms.TypedChoiceField(
        label="Share of the request quota",
        coerce=int,
        required=False,
        empty_value=None,
        initial=ALL,
        choices=[(percent, share_words(percent)) for percent in SHARES],
        help_text=SHARE_HELP,
    )
    paused = forms.BooleanField(
        label="Do not read yet",
        required=False,
        help_text="To pick fields first, for example. It starts when you press Resume.",
    )


class SyncForm(StartForm):
    """A sync's name, interval, share and brake."""

    paused = None  # type: ignore[assignment]  # there are buttons for that
    on_drift = forms.ChoiceField(
        label="When fields of a collection change",
        required=False,
        choices=[(each.value, choice(str(each.label), DRIFT_NOTES[each])) for each in OnDrift],
        widget=forms.RadioSelect,
    )
    brake_percent = forms.IntegerField(
        label="Ask before marking more than this share of a collection as deleted",
        min_value=0,
        max_value=100,
        required=False,
        help_text="In percent. When a connection loses a right, records seem to vanish: then a person decides.",
    )
    brake_at_least = forms.IntegerField(
        label="But never ask about so few records", min_value=0, required=False, help_text="However large their share."
    )

    def __init__(self, *args: Any, sync: Sync, **kwargs: Any) -> None:
        names = ("name", "poll_s", "quiet_poll_s", "quota_percent", "on_drift", "brake_percent", "brake_at_least")
        super().__init__(*args, **{"initial": {name: getattr(sync, name) for name in names}, **kwargs})
        for name in ("poll_s", "quiet_poll_s"):
            field: Any = self.fields[name]
            value = getattr(sync, name)
            if value not in dict(field.choices):  # set by the API
                field.choices = [(value, f"Every {value} seconds"), *field.choices]
        if sync.quota_percent not in SHARES:
            share = self.fields["quota_percent"]
            own = (sync.quota_percent, share_words(sync.quota_percent))
            share.choices = [own, *((percent, share_words(percent)) for percent in SHARES)]  # type: ignore[attr-defined]


class SweepForm(forms.Form):
    """How often all ids of a collection are compared."""

    sweep = forms.ChoiceField(label="Compare all ids", widget=forms.RadioSelect)
    hours = forms.IntegerField(label="Hours between two comparisons", required=False, min_value=1, max_value=2_160)

    def __init__(self, *args: Any, own_h: int, chosen_h: int | None, **kwargs: Any) -> None:
        """own_h: the provider's own interval; chosen_h: what is set for this sync, None for that."""
        chosen = OWN if chosen_h is None else str(chosen_h)
        if chosen not in (OWN, *map(str, SWEEP_PRESETS_H)):
            chosen = OTHER
        initial = {"sweep": chosen, "hours": chosen_h or own_h}
        super().__init__(*args, **{"initial": initial, **kwargs})
        words = {h: f"Every {hours(h)}" for h in SWEEP_PRESETS_H} | {0: "Never", 1: "Every hour"}
        presets = [(str(h), choice(text, SWEEP_NOTES.get(h, ""))) for h, text in words.items()]
        own = (OWN, choice(f"As usual for it: every {hours(own_h)}", ""))
        self.fields["sweep"].choices = [own, *presets[:-1], (OTHER, "At another interval"), presets[-1]]  # type: ignore[attr-defined]
        self.fields["hours"].widget.attrs["data-only-with"] = f"sweep={OTHER}"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("sweep") == OTHER and not cleaned.get("hours"):
            self.add_error("hours", "Say how many hours.")
        return cleaned

    @property
    def every_h(self) -> int | None:
        """What was chosen: hours, 0 for never, None for the provider's own interval."""
        chosen = self.cleaned_data["sweep"]
        return None if chosen == OWN else int(self.cleaned_data["hours"] if chosen == OTHER else chosen)


@dataclass(frozen=True)
class FieldOption:
    """One line of the field picker."""

    path: str
    label: str
    type: str
    is_kept: bool
    is_picked: bool
    is_hashed: bool


class FieldsForm(forms.Form):
    """Which fields of a collection's records are kept, and which of them as hashes."""

    mode = forms.ChoiceField(
        label="Keep",
        widget=forms.RadioSelect,
        choices=[
            ("all", choice("All fields", "Those that are added later, too.")),
            ("some", choice("Only the fields ticked below", "Id and times always are. New fields stay away.")),
        ],
    )

    def __init__(
        self, *args: Any, row: SyncCollection, described: Sequence[Field], kept: Sequence[str], **kwargs: Any
    ) -> None:
        only, hashed = row.fields.get("only"), row.fields.get("hash") or []
        super().__init__(*args, **{"initial": {"mode": "all" if only is None else "some"}, **kwargs})
        self.picked, self.hashed = only or [], hashed
        if self.is_bound:
            sent = cast(QueryDict, self.data)
            self.picked, self.hashed = sent.getlist("only"), sent.getlist("hash")
        known = {field.accessor: field for field in described}
        seen: dict[str, str] = row.schema.get("seen", {})
        inside = {path.partition(".")[0] for path in known if "." in path}
        paths = [*known, *(path for path in seen if path not in known and path not in inside)]
        paths += [path for path in dict.fromkeys([*self.picked, *self.hashed]) if path not in paths]
        ids = {field.accessor for field in described if field.primary_key}
        self.options = [
            FieldOption(
                path,
                known[path].label if path in known else "",
                known[path].type if path in known else seen.get(path, ""),
                path in kept or path in ids,
                path in self.picked,
                path in self.hashed,
            )
            for path in paths
        ]

    @property
    def picks(self) -> dict[str, Any]:
        """What was chosen, as the service takes it."""
        only = None if self.cleaned_data["mode"] == "all" else list(dict.fromkeys([*self.picked, *self.hashed]))
        return {"only": only, "hash": self.hashed}


class RemovalForm(forms.Form):
    """What becomes of messages already on the stream."""

    removal = forms.ChoiceField(
        label="Messages already in NATS",
        choices=[(removal.value, choice(str(removal.label), REMOVAL_NOTES[removal])) for removal in Removal],
        widget=forms.RadioSelect,
        initial=Removal.LEAVE,
    )


class RecordFilter(forms.Form):
    """What to show of the records; nonsense is ignored, for it comes from the address."""

    q = forms.CharField(label="Find", required=False, max_length=200, strip=True)
    sync = forms.ChoiceField(label="Sync", required=False)
    collection = forms.ChoiceField(label="Collection", required=False)
    deleted = forms.ChoiceField(
        label="Show", required=False, choices=[("", "All records"), ("no", "Not deleted"), ("yes", "Deleted only")]
    )

    def __init__(self, *args: Any, syncs: Sequence[Sync], collections: Sequence[SyncCollection], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        titles = {row.collection_id: row.title for row in collections}
        self.fields["sync"].choices = [("", "All syncs"), *((str(sync.pk), sync.name) for sync in syncs)]  # type: ignore[attr-defined]
        self.fields["collection"].choices = [("", "All collections"), *titles.items()]  # type: ignore[attr-defined]
        self.fields["q"].widget.attrs |= {"type": "search", "placeholder": "Id or text", "data-search": ""}
