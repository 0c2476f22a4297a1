"""What can be set while the sandbox runs, and what each setting does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

LIMIT_HEADER_FORMATS = ("short", "long", "per_app")


@dataclass(frozen=True)
class Settings:
    """Times are seconds. Kept in the data folder, so a restart does not forget them.

    token_ttl_s            life of a Salesforce access token; use in its second half extends it, as upstream does
    stripe_token_ttl_s     life of an access token of a Stripe App
    rotate_refresh_tokens  Salesforce answers each refresh with a new refresh token; the old one dies at once
    commit_delay_s         a written row becomes visible this long after its stamp
    events_delay_s         a Stripe event becomes visible this long after its `created`
    events_out_of_order    neighbouring Stripe events become visible in the wrong order
    limit_info_format      `short`: api-usage=1/2 - `long`: with api-bursts - `per_app`: with per-app-api-usage
    page_size_cap          no page holds more rows than this; 0 for the provider's own limit
    bulk_step_s            time a bulk job spends in each state before the next
    quota_used, quota_max  Salesforce calls of the last 24 hours, and how many are allowed
    refresh_idle_s         a Salesforce refresh token unused for this long is dead; 0 for never
    stripe_api_version     the account's default version: events are rendered in it
    clock_skew_s           the whole sandbox lives this far ahead of the machine's clock
    gzip                   answers are compressed when the client accepts it
    churn_s                seconds between changes made by the sandbox itself; 0 for none
    own                    what single sides add, under `<side>_<name>`
    """

    token_ttl_s: float = 7_200.0
    stripe_token_ttl_s: float = 3_600.0
    rotate_refresh_tokens: bool = False
    commit_delay_s: float = 0.0
    events_delay_s: float = 0.0
    events_out_of_order: bool = False
    limit_info_format: str = "short"
    page_size_cap: int = 0
    bulk_step_s: float = 0.5
    quota_used: int = 0
    quota_max: int = 100_000
    refresh_idle_s: float = 0.0
    stripe_api_version: str = "2020-08-27"
    clock_skew_s: float = 0.0
    gzip: bool = False
    churn_s: float = 0.0
    own: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, changes: dict[str, Any]) -> Settings:
        """These settings with some replaced. Raises ValueError for an unknown name or a value of the wrong kind."""
        known = {name: type(value) for name, value in self.as_dict().items()}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
            if not _fits(value, known[name]):
                raise ValueError(f"{name} must be a {known[name].__name__}")
        given = {name: known[name](value) for name, value in changes.items()}
        own = {name: given.pop(name) for name in self.own if name in given}
        after = replace(self, **given, own={**self.own, **own})
        if after.limit_info_format not in LIMIT_HEADER_FORMATS:
            raise ValueError(f"limit_info_format must be one of {', '.join(LIMIT_HEADER_FORMATS)}")
        return after

    def as_dict(self) -> dict[str, Any]:
        """All settings by name, the sides' own among them."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "own"} | dict(self.own)


def _fits(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)
