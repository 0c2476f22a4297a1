"""Any API, described by an admin: the definition is data, and this makes a provider of it.

Lists in seven ways of paging, six ways to be let in, changes by a time or by the whole list, deletions by sweep.
Every address is an admin's own word, so nothing is sent into a private network (kit.guard). docs/custom-provider.md
"""

from syncs.providers.custom.catalogue import collections_of
from syncs.providers.custom.definition import PREFIX, Definition
from syncs.providers.custom.errors import classify
from syncs.providers.custom.reader import CustomReader
from syncs.providers.custom.signin import hosts_of, kind_of
from syncs.providers.kit.catalogue import Provider

__all__ = ["PREFIX", "Definition", "provider_of"]


def provider_of(definition: Definition) -> Provider:
    """The provider a definition describes."""
    offered = collections_of(definition)
    return Provider(
        key=definition.provider_key,
        label=definition.label,
        kinds=(kind_of(definition),),
        reader=lambda client: CustomReader(definition, offered, client),
        hosts=hosts_of(definition),
        api_url=definition.base_url,
        docs=definition.docs,
        poll_s=definition.poll_s,
        per_s=definition.per_s,
        is_guarded=True,
        collections=offered,
        classify=classify,
        dropped=("White space between the tokens of a record's JSON.",),
    )
