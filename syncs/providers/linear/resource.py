"""One Linear list, as the reader sees it: its name, what is asked of each record, and the queries that ask."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "linear:"


class Order(StrEnum):
    """What a list is ordered by. Which end comes first Linear does not say: nothing relies on it."""

    CREATED = "createdAt"
    UPDATED = "updatedAt"


@dataclass(frozen=True)
class Resource:
    """One list.

    list      the connection's name, a field of `Query`
    type      the name of its records' type: `IssueFilter` is made of it, and webhooks name it
    fields    scalars asked for
    links     single objects asked for, each with what is asked of it
    trash     records can lie in the trash (`trashed`): deleted for people, and brought back within some weeks
    args      further arguments of the list
    hooked    a webhook tells of it
    """

    name: str
    title: str
    list: str
    type: str
    fields: str
    links: tuple[tuple[str, str], ...] = ()
    trash: bool = False
    args: str = ""
    hooked: bool = True
    shown: bool = True
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name

    @property
    def names(self) -> tuple[str, ...]:
        """All fields of a record, in the order they are asked for."""
        own = ("id", "createdAt", "updatedAt", "archivedAt", *(("trashed",) if self.trash else ()))
        return (*own, *self.fields.split(), *(name for name, _ in self.links))

    def query(self, order: Order) -> str:
        """The query for whole records."""
        links = " ".join(f"{name} {{ {asked} }}" for name, asked in self.links)
        own = "id createdAt updatedAt archivedAt" + (" trashed" if self.trash else "")
        return self._query(order, f"{own} {self.fields} {links}".strip())

    def id_query(self) -> str:
        """The query for ids alone."""
        return self._query(Order.CREATED, "id trashed" if self.trash else "id")

    def _query(self, order: Order, asked: str) -> str:
        more = f", {self.args}" if self.args else ""
        args = f"first: $first, after: $after, filter: $filter, orderBy: {order}, includeArchived: true{more}"
        return (
            f"query($first: Int!, $after: String, $filter: {self.type}Filter) {{ {self.list}({args}) "
            f"{{ nodes {{ {asked} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
