"""Catalogs that taps discover, and those that Flow keeps of them."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from flow_singer.errors import EXIT_USAGE, TapError
from flow_singer.files import write_atomic
from flow_singer.plugins.complaints import is_mistake_in_settings
from flow_singer.plugins.programs import FoundPlugin
from flow_singer.process.processes import describe_end
from flow_singer.process.quietrun import run_quietly
from flow_singer.project.masking import mask

_KEPT_CATALOGS = 4
_MASKED_BYTES = 1 << 16


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
            raise found.unstartable(exc) from exc
        output.seek(0)
        catalog = output.read()
    if code:
        said = " Its last lines were:\n" + mask("\n".join(tail[-5:]), secrets) if tail else ""
        error = TapError(
            f"{found.name} {describe_end(code)} during discovery.{said}",
            f"Check the settings of {found.name} in meltano.yml, .env and variables.",
        )
        if is_mistake_in_settings(code, tail):
            error.exit_code = EXIT_USAGE
        raise error
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
