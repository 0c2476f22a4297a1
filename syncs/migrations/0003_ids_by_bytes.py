"""On PostgreSQL, upstream ids are compared by their bytes, as SQLite does: they are no words of any language.

So a range of the index finds all ids that begin alike (syncs/browsing.py), and every look into it is cheaper.
"""

from django.db import migrations

TABLES = ("syncs_record", "syncs_sweptid")


def compare_by(collation):
    def change(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for table in TABLES:
                schema_editor.execute(
                    f'ALTER TABLE {table} ALTER COLUMN upstream_id TYPE varchar(400) COLLATE "{collation}"'
                )

    return change


class Migration(migrations.Migration):
    dependencies = [("syncs", "0002_record_keys")]

    operations = [migrations.RunPython(compare_by("C"), compare_by("default"))]
