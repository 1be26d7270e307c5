"""What a tap says of itself, its capabilities and its catalog, and Flow's memory of it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flow_singer.errors import ConfigError, TapError, TargetError
from flow_singer.files import write_atomic
from flow_singer.plugins.environments import FINGERPRINT_FILE, FoundPlugin, ended, run_quietly
from flow_singer.project.masking import mask

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project

logger = logging.getLogger(__name__)

_KEPT_CATALOGS = 4
_MAX_ANSWER_BYTES = 10_000_000
_LINGER_S = 5.0
_MASKED_BYTES = 1 << 16


class About(NamedTuple):
    """What a plugin says of itself.

    Attributes:
        capabilities: Singer SDK names: catalog, properties, discover, state, ...; None where it says none.
        settings: a JSON Schema of its config, or a list of settings as in a lock file; None where it says none.
    """

    capabilities: frozenset[str] | None = None
    settings: Any = None


TAP_CAPABILITIES = frozenset({"catalog", "discover", "properties"})
"""What only taps say that they can do (Singer SDK; "state" is in the lists of targets too)."""
TARGET_CAPABILITIES = frozenset(
    {"target-schema", "hard-delete", "soft-delete", "validate-records", "datetime-failsafe"}
)
"""What only targets say."""


def capabilities(
    found: FoundPlugin,
    *,
    env: Mapping[str, str],
    cache: Path,
    timeout_s: float = 60.0,
    refresh: bool = False,
) -> frozenset[str]:
    """Return what a tap can do: as declared, else as it says itself when asked (once).

    Args:
        found: its environment must be there.
        env: the plugin's environment variables.
        cache: folder that keeps the answer (see `cache_folder`).
        timeout_s: how long each of the two questions may take.
        refresh: ask anew.

    Returns:
        Singer SDK names: catalog, properties, discover, state. Empty for targets and mappers, of which
        nothing is asked.

    Raises:
        TapError: it can neither tell about itself nor show its help.
        ConfigError: by what it says it is a target.
    """
    if found.capabilities is not None:
        _refuse_target(found, found.capabilities)
        return found.capabilities
    if found.kind != "extractors":
        return frozenset()
    answer = ask_about(found, env=env, cache=cache, timeout_s=timeout_s, refresh=refresh)
    if answer.capabilities is not None:
        _refuse_target(found, answer.capabilities)
        return answer.capabilities
    _, text, tail = _ask(found, ["--help"], env, timeout_s)
    options = set(re.findall(r"--(catalog|properties|state|discover|config)\b", text))
    if "config" in options:
        able = frozenset(options - {"config"})
        kept = _kept_about(cache)
        if kept is not None and kept[1] == answer:
            _keep_about(found, cache, answer._replace(capabilities=able))
        return able
    said = f' Its last line was: "{tail[-1]}".' if tail else ""
    raise found.failure(
        f"{found.name} does not say what it can do: --about and --help both failed.{said}",
        "List its capabilities in meltano.yml, such as 'capabilities: [catalog, discover, state]'.",
    )


def _refuse_target(found: FoundPlugin, able: frozenset[str]) -> None:
    if found.kind == "extractors" and (foreign := able & TARGET_CAPABILITIES) and not able & TAP_CAPABILITIES:
        raise ConfigError(
            f"{found.name} is no tap: it says of itself that it can {', '.join(sorted(foreign))}.",
            f"A target stands at the end: flow run TAP {found.name}",
        )


def ask_about(
    found: FoundPlugin,
    *,
    env: Mapping[str, str],
    cache: Path,
    timeout_s: float = 60.0,
    refresh: bool = False,
) -> About:
    """Return what a plugin says to `--about --format=json`; it is asked once per build.

    Unlike a catalog, the answer of a program whose build is not known is kept until its file changes: asking
    takes as long as starting it, and what a plugin can do hardly ever changes.

    Args:
        found: its environment must be there.
        env: the plugin's environment variables.
        cache: folder that keeps the answer (see `cache_folder`).
        timeout_s: how long it may take.
        refresh: ask anew.

    Raises:
        TapError, TargetError: it cannot be started.

    Source: Singer SDK 0.54, "About information".
    """
    kept, build = _kept_about(cache), _about_key(found)
    if kept is not None and build is not None and kept[0] == build and not refresh:
        return kept[1]
    code, text, _ = _ask(found, ["--about", "--format=json"], env, timeout_s)
    answer = _read_about(text) if code == 0 else About()
    if (
        code >= 0
    ):  # one that was killed, such as after `timeout_s` on a busy machine, may answer the next time
        _keep_about(found, cache, answer)
    return answer


def known_about(found: FoundPlugin, cache: Path) -> About | None:
    """Return what a plugin said of itself, without starting it; None where it was never asked.

    A connector that comes with Flow brings its answer along, in `about.json` beside its code.
    """
    if found.source == "bundled":
        return _read_about((_module_folder(found.command[-1]) / "about.json").read_text(encoding="utf-8"))
    kept = _kept_about(cache)
    return kept[1] if kept else None


def _read_about(text: str) -> About:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # not the SDK: its --about, if it has one, is for people
        return About()
    if not isinstance(answer, dict):
        return About()
    able, settings = answer.get("capabilities"), answer.get("settings")
    return About(
        frozenset(map(str, able)) if isinstance(able, list) else None,
        settings if isinstance(settings, (dict, list)) else None,
    )


def _kept_about(cache: Path) -> tuple[str | None, About] | None:
    try:
        kept = json.loads((cache / "about.json").read_bytes())
        return kept["build"], _read_about(json.dumps(kept["about"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # no answer yet, or not a whole one
        return None


def _about_key(found: FoundPlugin) -> str | None:
    build = build_key(found)
    if build is None and found.venv is None:
        return _file_key([Path(found.command[0])])
    return build


def _keep_about(found: FoundPlugin, cache: Path, answer: About) -> None:
    able = None if answer.capabilities is None else sorted(answer.capabilities)
    kept = {"build": _about_key(found), "about": {"capabilities": able, "settings": answer.settings}}
    write_atomic(cache / "about.json", json.dumps(kept).encode())


def _ask(
    found: FoundPlugin, question: Sequence[str], env: Mapping[str, str], timeout_s: float
) -> tuple[int, str, list[str]]:
    """Run a plugin with `question`; its exit code, its stdout, the last lines of its stderr."""
    reading, writing = os.pipe()
    answer = bytearray()

    def listen() -> None:
        with open(reading, "rb") as pipe:  # once closed, a tap that sends its data instead ends by itself
            while len(answer) < _MAX_ANSWER_BYTES and (block := pipe.read1(65536)):
                answer.extend(block)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    with open(writing, "wb") as output:
        try:
            code, tail = run_quietly(
                [*found.command, *question], env=env, relay=logger.debug, stdout=output, timeout_s=timeout_s
            )
        except OSError as exc:
            raise _unstartable(found, exc) from exc
    listening.join(_LINGER_S)  # a process that it left behind may hold the pipe
    return code, bytes(answer).decode(errors="replace"), tail


def _unstartable(found: FoundPlugin, exc: OSError) -> TapError | TargetError:
    return found.failure(
        f"{found.name} cannot be started: {exc.strerror}: {found.command[0]}.",
        "If its folder was moved, remove its environment; the next run makes it anew.",
    )


def discover(
    found: FoundPlugin,
    *,
    config: Path,
    env: Mapping[str, str],
    relay: Callable[[str], None],
    secrets: Collection[str] = (),
) -> bytes:
    """Run a tap with `--discover` and return the catalog as it wrote it.

    Args:
        found: its environment must be there.
        config: its config file.
        env: its environment variables.
        relay: gets each line of its stderr, masked.
        secrets: values that must not show, neither there nor in an error.

    Raises:
        TapError: it failed, or what it wrote is no catalog.

    Source: Singer spec, "Discovery mode".
    """
    command = [*found.command, "--config", str(config), "--discover"]
    with tempfile.TemporaryFile() as output:
        try:
            code, tail = run_quietly(
                command, env=env, relay=lambda line: relay(mask(line, secrets)), stdout=output
            )
        except OSError as exc:
            raise _unstartable(found, exc) from exc
        output.seek(0)
        catalog = output.read()
    if code:
        said = " Its last lines were:\n" + mask("\n".join(tail[-5:]), secrets) if tail else ""
        raise TapError(
            f"{found.name} {ended(code, 'exited')} during discovery.{said}",
            f"Check the settings of {found.name} in meltano.yml, .env and variables.",
        )
    try:
        if not isinstance(json.loads(catalog)["streams"], list):
            raise TypeError("'streams' is not a list")
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        # masked before it is cut: half a secret would not be known
        start = mask(catalog[:_MASKED_BYTES].decode(errors="replace"), secrets)[:200]
        raise TapError(
            f"{found.name} --discover wrote no catalog ({type(exc).__name__}: {exc}), but {start!r}.",
            "A tap must print nothing else on stdout: tell its authors, or give a file with --catalog.",
        ) from exc
    return catalog


def build_key(found: FoundPlugin) -> str | None:
    """Return what tells one build of a plugin from another; None where nobody knows when it changes.

    Known is a bundled one, and one that Flow or Meltano installed (`pip_url`), unless what it installed is a
    folder that is worked on (`-e`). A program from PATH or a file of the project may be a wrapper, whose own
    time says nothing of what it starts.
    """
    if found.venv:
        if _is_editable(found):
            return None
        files = [found.venv / FINGERPRINT_FILE, *sorted(found.venv.glob(_PACKAGES))]
    elif found.source == "bundled":
        files = _module_files(found.command[-1])
    else:
        return None
    return _file_key(files)


_PACKAGES = "lib/python*/site-packages"


def _is_editable(found: FoundPlugin) -> bool:
    if found.plugin and re.search(r"(^|\s)(-e|--editable)\b", found.plugin.pip_url or ""):
        return True
    # Where a variable holds the -e, what was installed says so (PEP 610).
    notes = found.venv.glob(f"{_PACKAGES}/*.dist-info/direct_url.json") if found.venv else ()
    return any('"editable":true' in re.sub(r"\s", "", note.read_text()) for note in notes)


def _module_files(module: str) -> list[Path]:
    from importlib.util import find_spec

    spec = find_spec(module)
    return sorted(Path(spec.origin).parent.glob("*.py")) if spec and spec.origin else []


def _file_key(files: Sequence[Path]) -> str:
    stats = [(str(file), file.stat()) for file in files]
    return hashlib.sha256(repr([(n, s.st_mtime_ns, s.st_size) for n, s in stats]).encode()).hexdigest()


def _module_folder(module: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(module)
    assert spec is not None  # it comes with Flow
    assert spec.origin is not None
    return Path(spec.origin).parent


def cache_folder(found: FoundPlugin, project: Project | None, *, environ: Mapping[str, str]) -> Path:
    """Return the folder of what Flow remembers of a plugin: beside its environment, or the user's cache."""
    if project:
        return project.sys_dir / found.kind / Path(found.name).name / "flow"
    home = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "flow-singer" / found.kind / Path(found.name).name


def catalog_key(*parts: object) -> str:
    """Return a hash of all that a catalog depends on: config, schema and metadata extras, the build.

    Only this hash is kept, so no secret of the config ever is.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class CachedCatalog(NamedTuple):
    """A catalog discovered before."""

    content: bytes
    age_s: float


def cached_catalog(cache: Path, key: str) -> CachedCatalog | None:
    """Return the catalog kept under `key` in a plugin's cache folder, None where there is none."""
    file = cache / f"catalog-{key}.json"
    try:
        return CachedCatalog(file.read_bytes(), max(0.0, time.time() - file.stat().st_mtime))
    except OSError:
        return None


def keep_catalog(cache: Path, key: str, catalog: bytes) -> None:
    """Keep a discovered catalog under `key`; the oldest ones of the plugin make room."""
    write_atomic(cache / f"catalog-{key}.json", catalog, mode=0o600)
    newest_first = sorted(
        cache.glob("catalog-*.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True
    )
    for file in newest_first[_KEPT_CATALOGS:]:
        file.unlink(missing_ok=True)
