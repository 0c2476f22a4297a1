"""PostgreSQL no longer checks three foreign keys for each record written: half of what an insert cost.

What they kept is kept by locks instead (models.Record). SQLite's tables stay as they are: there the checks cost nothing
that could be measured, and to be rid of them the whole log would have to be copied.
"""

from django.db import migrations, models
from django.db.models import CASCADE


class AlterOnPostgreSQL(migrations.AlterField):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


def unchecked(to, related_name):
    return models.ForeignKey(to, CASCADE, related_name=related_name, db_index=False, db_constraint=False)


class Migration(migrations.Migration):
    dependencies = [("syncs", "0005_oauth_app_settings")]

    operations = [
        AlterOnPostgreSQL("record", "sync", unchecked("syncs.sync", "+")),
        AlterOnPostgreSQL("record", "collection", unchecked("syncs.synccollection", "records")),
        AlterOnPostgreSQL("recordchange", "record", unchecked("syncs.record", "changes")),
    ]
