"""A definition as the catalogue entries everything else derives from: collections, in words, and their fields."""

from collections.abc import Sequence

import msgspec

from syncs.providers.custom.definition import MAY_SHIFT, CustomCollection, Definition
from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Collection, Deletes, Field

REREAD_H = 24


def collections_of(definition: Definition) -> tuple[Collection, ...]:
    """The catalogue entries of all lists of a definition."""
    return tuple(_collection(definition, each) for each in definition.collections)


def _collection(definition: Definition, each: CustomCollection) -> Collection:
    key = f"{definition.provider_key}:{each.id}"
    is_whole = each.incremental is None
    may_hide = each.paging.type in MAY_SHIFT and each.paging.type != "offset"  # offsets overlap
    return Collection(
        id=key,
        title=each.title,
        feed=key,
        upstream=each.path,
        deletes=Deletes.SWEEP,
        every_s=each.whole_every_s if is_whole else None,
        reread_every_h=REREAD_H if may_hide and not is_whole else None,
        sweep_every_h=each.sweep_every_h,
        page_size=each.size,
        sweep_page=each.size,
        cost="Each look for changes reads the whole list." if is_whole else "One request for each page of changes.",
        scopes=tuple(each.scopes),
    )


def fields_in(described: CustomCollection, records: Sequence[bytes]) -> tuple[Field, ...]:
    """The fields these records have, in the order they came; the type is that of the first value that is not null."""
    types: dict[str, str] = {}
    for record in records:
        for name, value in raw.split(msgspec.Raw(record)).items():
            types[name] = types.get(name) or raw.value_type(value)
    return tuple(Field(name, kind, primary_key=name == described.id_at) for name, kind in types.items())
