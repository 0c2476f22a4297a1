"""Stands in for the upstream APIs over real HTTP: `python -m sandbox --data-dir DIR`. See README.md in this folder."""
