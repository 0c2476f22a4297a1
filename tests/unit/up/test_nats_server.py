"""The embedded server's set-up."""

import os
from pathlib import Path

from sequin_console.up import nats_server


def test_binary_is_there() -> None:
    assert os.access(nats_server.binary(), os.X_OK)


def test_server_listens_on_this_machine_only_and_stores_in_the_data_folder(tmp_path: Path) -> None:
    text = nats_server.write_config(tmp_path, 4222).read_text()
    assert 'host: "127.0.0.1"' in text
    assert "port: 4222" in text
    assert f'store_dir: "{tmp_path}/nats"' in text
