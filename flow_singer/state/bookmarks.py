"""Where a project keeps its bookmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.project.meltanofile import Project
from flow_singer.project.variables import env_name, expand, flatten
from flow_singer.state.documents import StateStore
from flow_singer.state.statefolder import FolderStore


def open_store(project: Project | None, *, environ: Mapping[str, str], cwd: Path) -> StateStore:
    """Return the store of a project's bookmarks; nothing is made on disk before the first write.

    Args:
        project: its `state_backend.uri` and `database_uri` decide (`MELTANO_STATE_BACKEND_URI` and
            `MELTANO_DATABASE_URI` in `environ`, then `.env`, then meltano.yml). By default it is the SQLite
            file `.meltano/meltano.db`.
        environ: environment variables.
        cwd: without a project, the bookmarks are in its `.flow/state`.

    Raises:
        ConfigError: the URI names a backend that Flow does not have.

    Source: Meltano 4.4, state backends.
    """
    if project is None:
        return FolderStore(cwd / ".flow" / "state")
    uri = _setting(project, "state_backend.uri", environ) or "systemdb"
    if uri == "systemdb":
        from flow_singer.state.systemdb import SqliteStore

        return SqliteStore(_sqlite_path(project, environ))
    scheme, _, rest = uri.partition("://")
    if scheme == "file" and rest.startswith("/"):
        timeout = _setting(project, "state_backend.lock_timeout_seconds", environ)
        return FolderStore(Path(rest), lock_timeout_s=float(timeout or 10))
    if scheme == "file":
        raise ConfigError(
            f"state_backend.uri is {uri!r}, which is not an absolute folder.",
            f"Write three slashes: file://{project.root}/state",
        )
    raise ConfigError(
        f"The state backend {scheme!r} is not supported yet.",
        "Set state_backend.uri to systemdb or file:///FOLDER, and bring the bookmarks over: meltano state get ID,"
        " then flow state set ID.",
    )


def _sqlite_path(project: Project, environ: Mapping[str, str]) -> Path:
    """Return the file of `database_uri`; a relative one is looked for in the project's folder."""
    uri = _setting(project, "database_uri", environ)
    if not uri:
        return project.sys_dir / "meltano.db"
    scheme, _, rest = uri.partition("://")
    path = rest.partition("?")[0].removeprefix("/")
    if scheme.partition("+")[0] == "sqlite" and path and path != ":memory:":
        return project.root / path
    raise ConfigError(
        # the whole URI may hold a password
        f"database_uri asks for {scheme!r}, which is not supported yet for bookmarks.",
        "Set database_uri to sqlite:////ABSOLUTE/FILE, or state_backend.uri to file:///FOLDER.",
    )


def _setting(project: Project, name: str, environ: Mapping[str, str]) -> str | None:
    """Return a setting of Meltano itself; only what meltano.yml says is expanded."""
    variable = env_name("meltano", name)
    for layer in (environ, project.dotenv):
        if layer.get(variable):
            return layer[variable]
    value = flatten(project.raw).get(name)
    return None if value is None else str(expand(str(value), project.variables))
