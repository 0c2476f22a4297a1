"""SOQL: what is understood, what it means, and what is refused in which words."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.objects import STANDARD_OBJECTS
from sandbox.salesforce.soql import Comparison, Junction, parse
from sandbox.salesforce.soql_sql import Compiler
from sandbox.store import Store

OBJECTS = {sobject.name: sobject for sobject in STANDARD_OBJECTS}


def compiled(text, *, with_deleted=True):
    compiler = Compiler(parse(text), OBJECTS)
    compiler.selected()
    return compiler.statement(with_deleted=with_deleted)


def refusal(text):
    with pytest.raises(ApiError) as caught:
        compiled(text)
    return caught.value


def test_every_clause_is_understood():
    query = parse(
        "select Id, Owner.Name from Account where Name like 'A%' and (Rating in ('Hot', 'Warm') or IsDeleted = true) "
        "order by Name desc nulls last, Id limit 10 offset 5"
    )
    assert [path.name for path in query.fields] == ["Id", "Owner.Name"]
    assert isinstance(query.where, Junction)
    assert query.where.op == "and"
    assert [(order.path.name, order.descending, order.nulls_last) for order in query.orders] == [
        ("Name", True, True),
        ("Id", False, False),
    ]
    assert (query.limit, query.offset) == (10, 5)


def test_count_has_no_fields():
    assert parse("SELECT COUNT() FROM Lead").is_count


@pytest.mark.parametrize(
    ("literal", "kind", "text"),
    [
        ("'O\\'Brien'", "text", "O'Brien"),
        ("'a\\nb'", "text", "a\nb"),
        ("-1.10", "number", "-1.10"),
        ("TRUE", "boolean", "true"),
        ("null", "null", "null"),
        ("2026-11-20", "date", "2026-11-20"),
        ("2026-11-20T08:15:00.000+00:00", "moment", "2026-11-20T08:15:00.000+00:00"),
    ],
)
def test_literals(literal, kind, text):
    where = parse(f"SELECT Id FROM Account WHERE Name = {literal}").where
    assert isinstance(where, Comparison)
    assert (where.values[0].kind, where.values[0].text) == (kind, text)


@given(st.text())
def test_any_text_survives_as_a_literal(text):
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    where = parse(f"SELECT Id FROM Account WHERE Name = '{quoted}'").where
    assert where.values[0].text == text


@given(st.text(alphabet="SELECT FROM(),'=<>0123 abc\\"))
def test_nonsense_is_understood_or_refused_and_never_breaks(text):
    with contextlib.suppress(ApiError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT Id FRM Account", "unexpected token: 'FRM'"),
        ("SELECT Id FROM Account WHERE", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account LIMIT 1.5", "unexpected token: '1.5'"),
        ("SELECT Id; FROM Account", "unexpected char: ';'"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Type = 'b' OR Type = 'c'", "unexpected token: 'OR'"),
        ("SELECT Id FROM Account GROUP BY Name", "unexpected token: 'GROUP'"),
    ],
)
def test_syntax_errors_name_the_token(text, message):
    error = refusal(text)
    assert error.code == "MALFORMED_QUERY"
    assert error.message.endswith(message)


def test_errors_point_at_row_and_column():
    message = refusal("SELECT Id,\nNope FROM Account").message
    assert message.startswith("\nNope FROM Account\n^\nERROR at Row:2:Column:1\nNo such column 'Nope'")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Id FROM AccountChangeEvent", "INVALID_TYPE"),
        ("SELECT Id, id FROM Account", "INVALID_FIELD"),
        ("SELECT Nobody.Name FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_names_and_types_are_checked(text, code):
    assert refusal(text).code == code


def test_indexed_columns_are_used_for_the_keyset():
    statement = compiled(
        "SELECT Id FROM Contact WHERE ((SystemModstamp = 2026-11-20T08:15:00Z AND Id > '003') OR SystemModstamp >"
        " 2026-11-20T08:15:00Z) AND SystemModstamp <= 2026-11-21T00:00:00Z ORDER BY SystemModstamp, Id LIMIT 2000"
    )
    assert "json_extract" not in statement.tail
    assert "stamp_ms >= ?" in statement.tail
    assert statement.params[0] == "salesforce/Contact"
    assert statement.params.count(statement.params[1]) == 3  # the stamp: equal, above, and the implied bound


@pytest.mark.parametrize(
    ("clauses", "index"),
    [
        ("WHERE SystemModstamp <= 2026-11-21T00:00:00Z AND Id > '003' ORDER BY Id LIMIT 2000", "records_by_id"),
        (
            "WHERE ((SystemModstamp = 2026-11-20T08:15:00Z AND Id > '003') OR SystemModstamp > 2026-11-20T08:15:00Z)"
            " AND SystemModstamp <= 2026-11-21T00:00:00Z ORDER BY SystemModstamp, Id LIMIT 2000",
            "records_by_stamp",
        ),
    ],
)
def test_keysets_read_an_index_in_order(tmp_path, clauses, index):
    store = Store(tmp_path / "sandbox.sqlite3")
    statement = compiled(f"SELECT Id FROM Contact {clauses}")
    plan = store.read(f"EXPLAIN QUERY PLAN SELECT id, body FROM records {statement.tail}", statement.params)
    store.close()
    assert len(plan) == 1, "one search, and no sorting after it"
    assert index in plan[0][3]


def test_deleted_rows_are_left_out_of_query():
    assert "deleted = 0" in compiled("SELECT Id FROM Lead", with_deleted=False).tail
    assert "deleted = 0" not in compiled("SELECT Id FROM Lead").tail


def test_short_ids_are_lengthened():
    statement = compiled("SELECT Id FROM Account WHERE Id = '0015e0000000001'")
    assert len(statement.params[1]) == 18
