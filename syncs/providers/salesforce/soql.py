"""The SOQL we send, as text. Pure.

Docs    https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql.htm
Limits  URI and headers together 16,384 bytes; a longer field list is cut into several queries
"""

from collections.abc import Sequence
from urllib.parse import quote

API = "/services/data/v67.0"
URI_LIMIT = 16_384
FIELD_BUDGET = URI_LIMIT - 2_500  # leaves room for the rest of the query and the headers


def literal(text: str) -> str:
    """The text as a SOQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def after_id(last: str) -> str:
    """Rows after that Id; all rows for none."""
    return f"Id > {literal(last)}" if last else ""


def between(first: str, last: str) -> str:
    return f"Id >= {literal(first)} AND Id <= {literal(last)}"


def changed_after(change_field: str, moment: str, last: str) -> str:
    """Rows changed later than that pair of change time and Id; with no Id, at that moment or later."""
    if not last:
        return f"{change_field} >= {moment}"
    return f"(({change_field} = {moment} AND Id > {literal(last)}) OR {change_field} > {moment})"


def among(ids: Sequence[str]) -> str:
    return f"Id IN ({','.join(literal(each) for each in ids)})"


def select(
    fields: Sequence[str], name: str, where: str = "", *, order: Sequence[str] = (), limit: int | None = None
) -> str:
    """`SELECT Id,Name FROM Account WHERE … ORDER BY Id LIMIT 2000`."""
    text = f"SELECT {','.join(fields)} FROM {name}"
    if where:
        text += f" WHERE {where}"
    if order:
        text += f" ORDER BY {','.join(order)}"
    return text + (f" LIMIT {limit}" if limit else "")


def url(query: str, *, deleted: bool = True) -> str:
    """The path and query string that ask for it; `deleted` rows are among the answer."""
    return f"{API}/{'queryAll' if deleted else 'query'}?q={quote(query, safe=',()=*:.')}".replace("%20", "+")
