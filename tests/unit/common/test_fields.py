"""Encrypted columns: ciphertext at rest, masked in print, readable after rotation."""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection, models
from django.test.utils import isolate_apps

from sequin_console.common.fields import EncryptedJSONField, Secrets, UnreadableSecret

SECRET = {"token": "sk_live_ünïque", "refresh": "r"}


@pytest.fixture
def vault(transactional_db: None) -> Iterator[Any]:
    """A model with one encrypted column, and its table."""
    with isolate_apps("sequin_console.common"):

        class Vault(models.Model):
            secrets = EncryptedJSONField()

            class Meta:
                app_label = "common"

            def __str__(self) -> str:
                return "vault"

        with connection.schema_editor() as editor:
            editor.create_model(Vault)
        yield Vault
        with connection.schema_editor() as editor:
            editor.delete_model(Vault)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM common_vault")
        return cursor.fetchone()[0]


def test_the_database_holds_ciphertext(vault: Any) -> None:
    vault.objects.create(secrets=SECRET)
    assert "token" not in stored()
    assert "sk_live" not in stored()
    assert vault.objects.get().secrets == SECRET


def test_equal_secrets_look_different(vault: Any) -> None:
    vault.objects.create(secrets=SECRET)
    first = stored()
    vault.objects.update(secrets=SECRET)
    assert stored() != first


def test_a_new_key_in_front_encrypts_and_the_old_one_still_reads(vault: Any, settings) -> None:
    vault.objects.create(secrets=SECRET)
    old, new = settings.ENCRYPTION_KEYS, Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *old]
    row = vault.objects.get()
    assert row.secrets == SECRET
    row.save()
    settings.ENCRYPTION_KEYS = [new]
    assert vault.objects.get().secrets == SECRET


def test_a_lost_key_is_said_in_words(vault: Any, settings) -> None:
    vault.objects.create(secrets=SECRET)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(UnreadableSecret, match=r"keys\.json"):
        vault.objects.get()


def test_nothing_prints_a_secret(vault: Any) -> None:
    row = vault.objects.create(secrets=Secrets(SECRET))
    printed = [repr(row.secrets), str(row.secrets), f"{row.secrets}", serializers.serialize("json", [row])]
    assert not any("sk_live" in text for text in printed)
    assert "token" in repr(row.secrets)
