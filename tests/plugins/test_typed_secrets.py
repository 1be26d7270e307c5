"""What was typed and cannot be read may hold a secret: no message shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Result
from projects import write_project

from flow_singer.cli._ending import typed_secrets
from flow_singer.errors import ConfigError
from flow_singer.plugins.prepare import read_config

Flow = Callable[..., Result]
SECRET = "hunter2-and-more"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path, taps={"tap-x": {"script": "says.py"}})


UNREADABLE = {
    "torn": f'{{"password": "{SECRET}"',
    "single quotes": f"{{'password': '{SECRET}'}}",
    "no quotes": f"{{password: {SECRET}}}",
    "an escape": f'{{"password": "\\{SECRET}"}}',
    "a pair": f"password={SECRET}",
    "YAML": f"password: {SECRET}",
    "the secret alone": SECRET,
    "a text in JSON": json.dumps(SECRET),
    "a list": json.dumps([SECRET]),
    "too long for a path": f"password={SECRET}" * 400,
    "lines": f"password: {SECRET}\nuser: me",
    "deep": '{"a":' * 20_000 + f'"{SECRET}"',
}


@pytest.mark.parametrize("config", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("words", [["run", "tap-x"], ["run", "tap-x", "target-csv"]], ids=["tap", "pipeline"])
def test_a_config_that_cannot_be_read_is_not_shown(
    project: Path, flow: Flow, config: str, form: str, words: list[str]
) -> None:
    result = flow("--log-level", "debug", "--log-format", form, *words, "--config", config)
    assert (result.code, result.stdout) == (2, b"")
    assert "hunter2" not in result.stderr
    assert "fault in Flow" not in result.stderr
    assert "--config" in result.stderr


def test_a_config_that_is_neither_json_nor_a_file_is_told_with_what_was_tried() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("password=hunter2")
    assert str(caught.value) == (
        "--config is neither a JSON object, which begins with {, nor the path of a file: there is no file of that"
        " name (16 characters, not shown as they may hold a secret).\n"
        "For example: --config '{\"records\": 100}', or --config tap.json"
    )


@pytest.mark.parametrize("text", ["hunter2\0and-more", "\udcff" * 5, "x" * 5000])
def test_a_config_that_can_be_no_path_is_a_mistake_like_any_other(text: str) -> None:
    with pytest.raises(ConfigError, match="neither a JSON object"):
        read_config(text)


@pytest.mark.parametrize("content", [b'{"password": "hunter2"', b"\xff\xfe", b"password: hunter2", b""])
def test_a_file_that_is_not_json_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "my config"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config(str(file))
    assert f"--config {file} is not JSON" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_path_that_is_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"Cannot read --config {tmp_path}: Is a directory"):
        read_config(str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        ["load", "target-csv", "--config", "{password:", f"{SECRET}}}"],
        ["run", "tap-x", "--config", "{password:", f"{SECRET}}}"],
        ["run", "tap-x", "target-csv", "--target-config", "{password:", f"{SECRET}}}"],
        ["run", "tap-x", "target-csv", "--config={password:", f"{SECRET}}}", "--limit", "1"],
        ["run", "tap-x", "target-csv", "--config", "{", "password:", SECRET, "}"],
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_config_that_the_shell_split_is_not_shown(
    project: Path, flow: Flow, words: list[str], form: str
) -> None:
    result = flow("--log-level", "debug", "--log-format", form, *words, stdin=b"")
    assert result.code != 0
    assert "hunter2" not in result.stderr


def test_the_secrets_of_a_good_config_are_masked_in_what_goes_wrong_elsewhere(
    project: Path, flow: Flow
) -> None:
    config = json.dumps({"password": SECRET})
    result = flow("--log-level", "debug", "run", "tap-x", "--config", config, "--state", f"{SECRET}.json")
    assert result.code == 2
    assert "Traceback" in result.stderr
    assert "***" in result.stderr
    assert "hunter2" not in result.stderr


def test_only_words_that_may_belong_to_a_config_are_secret() -> None:
    broken = ["run", "tap-x", "--config", "{password:", "abcd}", "--limit", "1000"]
    assert set(typed_secrets(broken, {})) == {"{password:", "abcd}"}
    for file in ("tap.json", "tap.yml"):
        assert set(typed_secrets(["run", "--config", file, "tap-x"], {})) == set()
    assert set(typed_secrets(["run", "--config", '{"token": "abcd"}', "tap-x"], {})) == {"abcd"}
    assert set(typed_secrets(["run"], {"FLOW_LOAD_CONFIG": '{"token": "abcd"}'})) == {"abcd"}
    assert set(typed_secrets(["run", "--config"], {"FLOW_LOAD_CONFIG": ""})) == set()
