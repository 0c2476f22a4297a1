"""Options of `up`: what is given, else the environment, else the default."""

from pathlib import Path

import pytest

from sequin_console.up import arguments


def test_defaults() -> None:
    options = arguments.parse([], {})
    assert options.data_dir == arguments.BASE_DIR / ".sequin"
    assert (options.host, options.port, options.workers, options.demo) == ("127.0.0.1", None, 2, True)


def test_environment_is_honoured(tmp_path: Path) -> None:
    environ = {"SEQUIN_PORT": "9001", "SEQUIN_DATA_DIR": str(tmp_path), "SEQUIN_DEMO": "0", "SEQUIN_WORKERS": "4"}
    options = arguments.parse([], environ)
    assert (options.port, options.data_dir, options.demo, options.workers) == (9001, tmp_path, False, 4)


def test_options_win_over_the_environment(tmp_path: Path) -> None:
    argv = ["--port", "9002", "--data-dir", str(tmp_path), "--host=0.0.0.0", "--workers", "1", "--no-demo"]
    options = arguments.parse(argv, {"SEQUIN_PORT": "9001", "SEQUIN_DATA_DIR": "/nowhere", "HOST": "::1"})
    assert (options.port, options.data_dir, options.host) == (9002, tmp_path, "0.0.0.0")
    assert (options.workers, options.demo) == (1, False)


def test_options_of_django_are_passed_over() -> None:
    assert arguments.parse(["--verbosity", "2", "--traceback", "--port", "9002"], {}).port == 9002


@pytest.mark.parametrize(("text", "host"), [("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("adas-laptop", "127.0.0.1")])
def test_machine_name_in_host_does_not_open_the_console(text: str, host: str) -> None:
    assert arguments.parse([], {"HOST": text}).host == host


@pytest.mark.parametrize(
    ("argv", "environ"),
    [(["--port", "70000"], {}), ([], {"SEQUIN_PORT": "http"}), (["--workers", "0"], {}), (["--port", "x"], {})],
)
def test_nonsense_is_refused(argv: list[str], environ: dict[str, str]) -> None:
    with pytest.raises(SystemExit):
        arguments.parse(argv, environ)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")],
)
def test_url_is_where_this_machine_reaches_it(host: str, url: str) -> None:
    assert arguments.url(host, 80) == url
