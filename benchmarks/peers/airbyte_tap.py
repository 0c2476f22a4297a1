"""airbyte-cdk's low-code source with airbyte_manifest.yaml; prints Airbyte messages."""

import json
import sys
import tempfile
from pathlib import Path

from airbyte_cdk.cli.source_declarative_manifest import run
from publisher import UPSTREAM

STREAM = {"name": "customers", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
CATALOG = {"streams": [{"stream": STREAM, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}]}

with tempfile.TemporaryDirectory() as folder:
    config, catalog = Path(folder) / "config.json", Path(folder) / "catalog.json"
    config.write_text(json.dumps({"url": UPSTREAM}))
    catalog.write_text(json.dumps(CATALOG))
    manifest = Path(__file__).parent / "airbyte_manifest.yaml"
    files = {"--config": config, "--catalog": catalog, "--manifest-path": manifest}
    sys.argv = ["source", "read", *(str(word) for pair in files.items() for word in pair)]
    run()
