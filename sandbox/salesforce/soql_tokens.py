"""SOQL cut into words, and the way upstream points at one of them in an error.

Source: SOQL and SOSL Reference, v67.0, "Reserved characters" and "Quoted string escape sequences"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.salesforce.errors import malformed_query

KEYWORDS = frozenset({"select", "from", "where", "and", "or", "not", "in", "like", "order", "by", "asc", "desc",
                      "nulls", "limit", "offset", "group", "having", "with"})  # fmt: skip
TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<moment>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}))
      | (?P<date>\d{4}-\d{2}-\d{2})
      | (?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
      | (?P<symbol><=|>=|!=|<>|[=<>(),])""",
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "'": "'",
    '"': '"',
    "\\": "\\",
    "_": "\\_",
    "%": "\\%",
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


def tokenize(text: str) -> list[Token]:
    """All tokens but white space, an `end` token last. Raises MALFORMED_QUERY for a character no token starts with."""
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise malformed_query(f"{place(text, at)}unexpected char: '{text[at]}'")
        kind = str(match.lastgroup)
        if kind == "name" and match[0].lower() in KEYWORDS:
            kind = "keyword"
        if kind != "space":
            tokens.append(Token(kind, match[0], at))
        at = match.end()
    return [*tokens, Token("end", "<EOF>", len(text))]


def place(text: str, at: int) -> str:
    """The head of upstream's messages: the query, a caret under the spot, row and column."""
    row = text.count("\n", 0, at) + 1
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start:] if end < 0 else text[start:end]
    excerpt = line[max(0, at - start - 40) : at - start + 40]
    caret = " " * min(40, at - start) + "^"
    return f"\n{excerpt}\n{caret}\nERROR at Row:{row}:Column:{at - start + 1}\n"


def text_value(literal: str) -> str:
    """What a quoted literal means: `'O\\'Brien'` -> `O'Brien`. Raises MALFORMED_QUERY for an unknown escape."""
    return re.sub(r"\\(.)", _unescape, literal[1:-1], flags=re.DOTALL)


def _unescape(match: re.Match[str]) -> str:
    if match[1] not in ESCAPES:
        raise malformed_query(f"Invalid string literal. Illegal character sequence '\\{match[1]}' in string literal.")
    return ESCAPES[match[1]]
