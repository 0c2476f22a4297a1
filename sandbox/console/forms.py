"""Between a record's raw JSON and the inputs of a page: what was not touched goes back byte for byte."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sandbox.rawjson import Fields, compact, dump, indented, join_object, load, split_object

JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
INPUTS_AT_MOST = 8
TITLES = ("Name", "name", "Subject", "description", "number", "email", "code", "filename", "MasterLabel", "type")


@dataclass(frozen=True)
class Input:
    """One labelled input: kind is `text`, `long`, `boolean` or `choice`."""

    name: str
    label: str
    kind: str
    value: str
    choices: Sequence[str] = ()


def plain_names(fields: Mapping[str, bytes], system: Collection[str]) -> list[str]:
    """The first fields that hold one value each, and that people may edit."""
    plain = [name for name, raw in fields.items() if name not in system and raw[:1] not in (b"{", b"[")]
    return plain[:INPUTS_AT_MOST]


def inputs_of(names: Sequence[str], fields: Mapping[str, bytes], choices: Mapping[str, Sequence[str]]) -> list[Input]:
    """The inputs for these fields of a record."""
    return [_input(name, fields.get(name, b"null"), choices.get(name, ())) for name in names]


def _input(name: str, raw: bytes, choices: Sequence[str]) -> Input:
    value = text_of(raw)
    if raw in (b"true", b"false"):
        kind = "boolean"
    elif choices:
        kind = "choice"
        choices = choices if value in choices or not value else (value, *choices)
    else:
        kind = "long" if "\n" in value or name.lower() in ("description", "notes__c") else "text"
    return Input(name, label_of(name), kind, value, choices)


def changes_from(form: Mapping[str, str], fields: Mapping[str, bytes], system: Collection[str]) -> Fields:
    """What a posted form changes: an edited input wins over the raw JSON, and nobody edits what is the system's.

    Raises ValueError for broken JSON.
    """
    changes: Fields = {}
    if "raw" in form:
        given = split_object(compact(form["raw"]))
        changes = {name: raw for name, raw in given.items() if raw != compact(fields.get(name, b"null"))}
    for key, text in form.items():
        name = key.removeprefix("field.")
        before = fields.get(name, b"null")
        text = text.replace("\r\n", "\n")
        if key.startswith("field.") and text != text_of(before).replace("\r\n", "\n"):
            changes[name] = raw_of(text, before)
    return {name: raw for name, raw in changes.items() if name not in system}


def text_of(raw: bytes) -> str:
    """A value as an input shows it: strings bare, null empty, numbers as they were sent."""
    if raw == b"null":
        return ""
    return load(raw) if raw.startswith(b'"') else raw.decode()


def raw_of(text: str, before: bytes) -> bytes:
    """An input's text as JSON: a number stays a number, a truth a truth; empty is null."""
    if text == "":
        return b"null"
    was_text = before.startswith(b'"')
    if not was_text and (text in ("true", "false") or (before != b"null" and JSON_NUMBER.fullmatch(text))):
        return text.encode()
    return dump(text)


def raw_text(fields: Mapping[str, bytes]) -> str:
    """The record as indented JSON for the raw editor."""
    return indented(join_object(fields)).decode()


def title_of(fields: Mapping[str, bytes], record: str) -> str:
    """What a record is called in lists."""
    for name in TITLES:
        raw = bytes(fields.get(name, b"null"))
        if raw.startswith(b'"') and len(raw) > 2:
            return load(raw)
    return record


def label_of(name: str) -> str:
    """`AnnualRevenue` -> `Annual revenue`, `unit_amount` -> `Unit amount`, `Due_Date__c` -> `Due date`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("__c")).replace("_", " ").split()
    sentence = " ".join(words).lower()
    sentence = re.sub(r"\bid\b", "ID", sentence)
    return sentence[:1].upper() + sentence[1:]
