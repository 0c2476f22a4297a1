"""A database in trouble is told in words, on pages and in the API, by answers that do not ask it anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test import Client

from sequin_console.common import database_trouble
from tests.factories import make_token

TOO_MANY = "connection failed: FATAL:  sorry, too many clients already"


@contextmanager
def away(said: str = TOO_MANY) -> Iterator[None]:
    """Every statement fails."""

    def fail(*_args: Any) -> Any:
        raise OperationalError(said)

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("database or disk is full", "The disk of the database is full."),
        ("disk I/O error", "The disk of the database is full."),
        ('could not extend file "base/1/2": No space left on device', "The disk of the database is full."),
        ("database is locked", "Another program holds the database."),
        ("canceling statement due to statement timeout", "Another program holds the database."),
        (TOO_MANY, "PostgreSQL takes no more connections."),
        ("FATAL:  remaining connection slots are reserved", "PostgreSQL takes no more connections."),
        ('connection to server at "10.0.0.7" failed: Connection refused', "The database does not answer."),
    ],
)
def test_trouble_has_words_and_a_next_step(said: str, told: str) -> None:
    problem = database_trouble.as_problem(OperationalError(said))
    assert (problem.message, problem.status, problem.kind) == (told, 503, "database")
    assert "Nothing is lost" in problem.next_step
    assert "10.0.0.7" not in problem.message + problem.next_step


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/syncs/", "/healthz"])
def test_pages_say_what_is_wrong(path: str) -> None:
    browser = Client(raise_request_exception=False, REMOTE_ADDR="192.0.2.7")
    browser.cookies["sequin_session"] = "of-somebody"
    with away():
        response = browser.get(path)
    if path == "/healthz":
        assert response.status_code == 200
        return
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "PostgreSQL takes no more connections." in response.content.decode()


@pytest.mark.django_db
def test_api_says_what_is_wrong() -> None:
    _, text = make_token()
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})
    with away():
        response = client.get("/v1/syncs")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "PostgreSQL takes no more connections."


@pytest.mark.django_db
@pytest.mark.only_on("postgres", "postgres-redis")
def test_the_write_that_finds_out_wants_new_room() -> None:
    """Rows that are there can be changed on a full disk: that alone would tell nothing."""
    database_trouble.try_to_write()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL temp_file_limit = '64kB'")
    with pytest.raises(OperationalError, match="temporary file size"):
        database_trouble.try_to_write()


@pytest.mark.django_db
def test_a_mistake_of_ours_is_not_blamed_on_the_database() -> None:
    client = Client(raise_request_exception=False)
    with mock.patch("sequin_console.common.heartbeats.ages", side_effect=RuntimeError):
        response = client.get("/readyz")
    assert response.status_code == 500
    assert "The console made a mistake." in response.content.decode()
