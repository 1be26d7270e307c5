"""What a tap says of itself, its capabilities and its catalog, and Flow's memory of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flow_singer.errors import TapError, TargetError
from flow_singer.files import write_atomic
from flow_singer.masking import mask
from flow_singer.plugins import FINGERPRINT_FILE, FoundPlugin, ended, run_quietly

if TYPE_CHECKING:
    from flow_singer.project import Project

logger = logging.getLogger(__name__)

_KEPT_CATALOGS = 4
_MASKED_BYTES = 1 << 16


def capabilities(
    found: FoundPlugin, *, env: Mapping[str, str], cache: Path, timeout_s: float = 60.0
) -> frozenset[str]:
    """Return what a tap can do: as declared, else as it says itself when asked (once).

    Args:
        found: its environment must be there.
        env: the plugin's environment variables.
        cache: folder that keeps the answer (see `cache_folder`).
        timeout_s: how long each of the two questions may take.

    Returns:
        Singer SDK names: catalog, properties, discover, state. Empty for targets and mappers, of which
        nothing is asked.

    Raises:
        TapError: it can neither tell about itself nor show its help.
    """
    if found.capabilities is not None:
        return found.capabilities
    if found.kind != "extractors":
        return frozenset()
    build = build_key(found)
    file = cache / "capabilities.json"
    if build:
        # no answer yet, or not a whole one
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(file.read_bytes())
            if kept["build"] == build:
                return frozenset(kept["capabilities"])
    answer = _ask_capabilities(found, env, timeout_s)
    if build:
        write_atomic(file, json.dumps({"build": build, "capabilities": sorted(answer)}).encode())
    return answer


def _ask_capabilities(found: FoundPlugin, env: Mapping[str, str], timeout_s: float) -> frozenset[str]:
    for question in (["--about", "--format=json"], ["--help"]):
        with tempfile.TemporaryFile() as output:
            try:
                code, tail = run_quietly(
                    [*found.command, *question],
                    env=env,
                    relay=logger.debug,
                    stdout=output,
                    timeout_s=timeout_s,
                )
            except OSError as exc:
                raise _unstartable(found, exc) from exc
            output.seek(0)
            text = output.read().decode(errors="replace")
        if question[0] == "--about" and code == 0:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # not the SDK: ask for help
                return frozenset(map(str, json.loads(text)["capabilities"]))
        options = set(re.findall(r"--(catalog|properties|state|discover|config)\b", text))
        if question[0] == "--help" and "config" in options:
            return frozenset(options - {"config"})
    said = f' Its last line was: "{tail[-1]}".' if tail else ""
    raise found.failure(
        f"{found.name} does not say what it can do: --about and --help both failed.{said}",
        "List its capabilities in meltano.yml, such as 'capabilities: [catalog, discover, state]'.",
    )


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
    """Return what tells one build of a plugin from another; None where it may change at any time (`-e`)."""
    if found.plugin and found.plugin.pip_url and re.search(r"(^|\s)(-e|--editable)\b", found.plugin.pip_url):
        return None
    if found.venv:
        files = [found.venv / FINGERPRINT_FILE]
    elif found.source == "bundled":
        from importlib.util import find_spec

        spec = find_spec(found.command[-1])
        files = sorted(Path(spec.origin).parent.glob("*.py")) if spec and spec.origin else []
    else:
        files = [Path(found.command[0])]
    stats = [(str(file), file.stat()) for file in files]
    return hashlib.sha256(repr([(n, s.st_mtime_ns, s.st_size) for n, s in stats]).encode()).hexdigest()


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
