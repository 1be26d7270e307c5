from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from flow_singer.errors import TapError
from flow_singer.plugins.about import capabilities
from flow_singer.plugins.builds import build_key, cache_folder
from flow_singer.plugins.discovery import cached_catalog, catalog_key, discover, keep_catalog
from flow_singer.plugins.programs import FoundPlugin, find_plugin
from flow_singer.project.meltanofile import load_project

CATALOG = b'{"streams": [{"tap_stream_id": "a", "x": 1.10}]}'


@pytest.fixture
def tap(tmp_path: Path):
    """Write a tap of the given Python lines and find it on PATH."""

    def make(*lines: str, kind: str = "extractors") -> FoundPlugin:
        path = tmp_path / "tap-x"
        path.write_text("\n".join([f"#!{sys.executable}", "import json, os, sys", *lines]))
        path.chmod(0o755)
        return find_plugin("tap-x", kind, None, environ={"PATH": str(tmp_path)})

    return make


def ask(found: FoundPlugin, cache: Path, **options) -> frozenset[str]:
    return capabilities(found, env=dict(os.environ), cache=cache, **options)


def test_an_sdk_tap_says_what_it_can_do_and_is_asked_once(tap, tmp_path):
    count = f"open({str(tmp_path / 'asked')!r}, 'a').write('x')"
    found = tap(
        count,
        "assert sys.argv[1:] == ['--about', '--format=json']",
        "print(json.dumps({'capabilities': ['state', 'catalog', 'discover', 'about']}))",
    )
    for _ in range(3):
        assert ask(found, tmp_path / "cache") == {"state", "catalog", "discover", "about"}
    assert (tmp_path / "asked").read_text() == "x"


def test_a_changed_program_is_asked_again(tap, tmp_path):
    for names in (["state"], ["state", "catalog"]):
        found = tap(f"print(json.dumps({{'capabilities': {names}}}))")
        assert ask(found, tmp_path / "cache") == set(names)


def test_an_old_tap_is_known_by_its_help(tap, tmp_path):
    found = tap(
        "import argparse",
        "parser = argparse.ArgumentParser()",
        "for name in ('config', 'state', 'properties'): parser.add_argument('--' + name)",
        "parser.add_argument('--discover', action='store_true')",
        "parser.parse_args()",
    )
    assert ask(found, tmp_path / "cache") == {"state", "properties", "discover"}


@pytest.mark.parametrize("declared", [{"state"}, set()])
def test_declared_capabilities_are_believed_without_asking(tmp_path, declared):
    found = FoundPlugin("tap-x", "extractors", "PATH", ("/nowhere",), frozenset(declared))
    assert ask(found, tmp_path) == declared


def test_nothing_is_asked_of_a_target(tmp_path):
    assert ask(FoundPlugin("target-x", "loaders", "PATH", ("/nowhere",)), tmp_path) == frozenset()


def test_a_tap_that_tells_nothing_is_an_error_that_says_what_to_declare(tap, tmp_path):
    found = tap("sys.exit('no config, no answer')")
    with pytest.raises(TapError, match=r'both failed\. Its last line was: "no config, no answer"') as caught:
        ask(found, tmp_path / "cache")
    assert "capabilities: [catalog, discover, state]" in str(caught.value.hint)


def test_a_tap_that_hangs_when_asked_is_given_up(tap, tmp_path):
    with pytest.raises(TapError, match="both failed"):
        ask(tap("import time; time.sleep(600)"), tmp_path / "cache", timeout_s=0.3)


def test_a_tap_that_was_killed_when_asked_is_asked_again(tap, tmp_path):
    found = tap(
        "import time",
        f"if os.path.exists({str(tmp_path / 'slow')!r}): time.sleep(600)",
        "print(json.dumps({'capabilities': ['state']}))",
    )
    (tmp_path / "slow").touch()
    with pytest.raises(TapError, match="both failed"):
        ask(found, tmp_path / "cache", timeout_s=0.3)
    (tmp_path / "slow").unlink()
    assert ask(found, tmp_path / "cache") == {"state"}


def test_a_torn_answer_in_the_cache_is_asked_anew(tap, tmp_path):
    found = tap("print(json.dumps({'capabilities': ['state']}))")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "about.json").write_text('{"build": "')
    assert ask(found, tmp_path / "cache") == {"state"}


def test_discovery_returns_the_catalog_as_written_and_relays_stderr(tap, tmp_path):
    found = tap(
        "assert sys.argv[1:] == ['--config', '/c.json', '--discover']",
        "print('token hunter22', file=sys.stderr)",
        f"sys.stdout.write({CATALOG.decode()!r})",
    )
    lines: list[str] = []
    catalog = discover(
        found, config=Path("/c.json"), env=dict(os.environ), relay=lines.append, secrets={"hunter22"}
    )
    assert catalog == CATALOG
    assert lines == ["token ***"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sys.exit('401 with hunter22')", "tap-x exited with code 1 during discovery.*\n401 with \\*\\*\\*"),
        ("os.kill(os.getpid(), 9)", "tap-x was killed by SIGKILL during discovery"),
        ("print('INFO starting')", "wrote no catalog .*, but 'INFO starting"),
        ("print('[]')", "wrote no catalog .TypeError"),
        ("print('{}')", "wrote no catalog .KeyError"),
        ("print(json.dumps({'streams': {}}))", "'streams' is not a list"),
    ],
    ids=["exits 1", "is killed", "prints noise", "prints a list", "has no streams", "has streams by name"],
)
def test_a_failed_discovery_is_a_tap_error(tap, line, message):
    with pytest.raises(TapError, match=message) as caught:
        discover(
            tap(line), config=Path("/c"), env=dict(os.environ), relay=lambda line: None, secrets={"hunter22"}
        )
    assert "hunter22" not in str(caught.value)


def test_a_tap_that_cannot_be_started_is_a_tap_error(tap):
    found = tap()
    Path(found.command[0]).write_text("#!/nowhere/python\n")
    with pytest.raises(TapError, match="tap-x cannot be started: No such file or directory") as caught:
        discover(found, config=Path("/c"), env={}, relay=lambda line: None)
    assert "the next run makes it anew" in str(caught.value.hint)


def test_a_catalog_is_kept_by_a_key_that_holds_no_secret(tmp_path):
    config = {"token": "hunter22"}
    key = catalog_key(config, {}, {}, "build")
    assert cached_catalog(tmp_path, key) is None
    keep_catalog(tmp_path, key, CATALOG)
    kept = cached_catalog(tmp_path, key)
    assert kept is not None
    assert kept.content == CATALOG
    assert 0 <= kept.age_s < 60
    assert not any(b"hunter22" in file.name.encode() + file.read_bytes() for file in tmp_path.iterdir())


def test_a_catalog_key_depends_on_every_part_but_not_on_order():
    key = catalog_key({"a": 1, "b": 2}, {}, {}, "build")
    assert key == catalog_key({"b": 2, "a": 1}, {}, {}, "build")
    others = [catalog_key({"a": 1}, {}, {}, "build"), catalog_key({"a": 1, "b": 2}, {"s": {}}, {}, "build")]
    assert len({key, *others, catalog_key({"a": 1, "b": 2}, {}, {}, "other build")}) == 4


def test_only_the_newest_catalogs_are_kept(tmp_path):
    for number in range(7):
        keep_catalog(tmp_path, f"k{number}", CATALOG)
        os.utime(tmp_path / f"catalog-k{number}.json", (number, number))
    assert cached_catalog(tmp_path, "k6")
    assert cached_catalog(tmp_path, "k0") is None
    assert len(list(tmp_path.iterdir())) == 4


def _installed(root: Path, pip_url: str = "tap-x") -> FoundPlugin:
    """A plugin of a project, as if it were installed."""
    (root / "meltano.yml").write_text(
        json.dumps({"plugins": {"extractors": [{"name": "tap-x", "pip_url": pip_url}]}})
    )
    found = find_plugin("tap-x", "extractors", load_project(root, environ={}), environ={})
    assert found.venv is not None
    (found.venv / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (found.venv / ".meltano_plugin_fingerprint").write_text("mark")
    return found


def test_a_build_is_known_by_what_was_installed(tmp_path):
    found = _installed(tmp_path)
    packages = found.venv / "lib" / "python3.11" / "site-packages"
    before = build_key(found)
    assert before is not None
    assert build_key(found) == before
    (packages / "tap_x-2.dist-info").mkdir()  # as pip leaves it, by hand
    after = build_key(found)
    assert after not in (None, before)


def test_a_build_is_not_known_where_a_variable_held_the_e(tmp_path):
    found = _installed(tmp_path, "$TAP_X_PIP")
    note = found.venv / "lib" / "python3.11" / "site-packages" / "tap_x-1.dist-info" / "direct_url.json"
    note.parent.mkdir()
    note.write_text('{"dir_info": {}, "url": "file:///x"}')
    assert build_key(found) is not None
    note.write_text('{"dir_info": {"editable": true}, "url": "file:///x"}')
    assert build_key(found) is None


def test_a_program_that_nobody_installed_has_no_build_key(tap, tmp_path):
    assert build_key(tap()) is None
    entry = {"name": "tap-x", "namespace": "x", "executable": "./tap-x"}
    (tmp_path / "meltano.yml").write_text(json.dumps({"plugins": {"extractors": [entry]}}))
    project = load_project(tmp_path, environ={})
    assert build_key(find_plugin("tap-x", "extractors", project, environ={})) is None
    assert build_key(find_plugin("tap-demo", "extractors", None, environ={})) is not None


def test_an_answer_is_asked_anew_where_that_is_wanted(tap, tmp_path):
    found = tap(f"print(json.dumps(json.load(open({str(tmp_path / 'able.json')!r}))))")
    for names in (["state"], ["catalog"]):
        (tmp_path / "able.json").write_text(json.dumps({"capabilities": names}))
        assert ask(found, tmp_path / "cache", refresh=True) == set(names)


def test_a_plugin_in_development_has_no_build_key(tmp_path):
    plugins = {"extractors": [{"name": "tap-x", "pip_url": "-e ./tap-x"}]}
    (tmp_path / "meltano.yml").write_text(json.dumps({"plugins": plugins}))
    project = load_project(tmp_path, environ={})
    assert build_key(find_plugin("tap-x", "extractors", project, environ={})) is None


def test_what_flow_remembers_is_beside_the_environment_or_in_the_user_s_cache(tap, tmp_path):
    found = tap()
    (tmp_path / "meltano.yml").write_text("")
    project = load_project(tmp_path, environ={})
    assert cache_folder(found, project, environ={}) == tmp_path / ".meltano/extractors/tap-x/flow"
    assert cache_folder(found, None, environ={"XDG_CACHE_HOME": "/c"}) == Path(
        "/c/flow-singer/extractors/tap-x"
    )


@pytest.mark.parametrize("end", range(190, 212))
def test_a_secret_is_masked_also_where_its_error_is_cut(tap, tmp_path, end):
    secret = "hunter2-and-more"
    found = tap(f"print('x' * {end - len(secret)} + {secret!r})")
    with pytest.raises(TapError) as caught:
        discover(found, config=tmp_path, env=dict(os.environ), relay=lambda line: None, secrets={secret})
    assert "hunt" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"\xff", b'{"build": 1}'])
def test_a_damaged_memory_of_capabilities_is_no_memory(tap, tmp_path, content):
    found = tap("print(json.dumps({'capabilities': ['state']}))")
    (tmp_path / "capabilities.json").write_bytes(content)
    assert ask(found, tmp_path) == {"state"}
