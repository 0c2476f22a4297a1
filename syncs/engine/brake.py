"""The deletion brake: a mass deletion and a lost permission look alike from outside, so beyond a share we ask."""

SHARE = 0.05
AT_LEAST = 50


def is_mass_delete(missing: int, live: int, *, share: float = SHARE, at_least: int = AT_LEAST) -> bool:
    """Whether so many records missing from a sweep must wait for a person's decision (invariant 8).

    missing  records the sweep did not find
    live     records that were live before it
    A small collection that vanished whole is asked about too, for that is what a lost permission looks like.
    """
    if missing == 0:
        return False
    return missing > max(at_least, live * share) or (missing == live and live > 1)
