"""The connectors from PyPI that the tests in this folder run, pinned in this one place.

`singer-sdk` is pinned beside each connector built on it, so that a release of the SDK cannot change a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SDK = "singer-sdk==0.54.9"


@dataclass(frozen=True)
class Connector:
    """How a connector is installed and declared in meltano.yml.

    Args:
        kind: the list of meltano.yml's `plugins` that it belongs to.
        pip_url: what uv installs into the connector's own environment.
        executable: the command that the package brings.
        capabilities: as `plugins.*.capabilities` of meltano.yml.
        settings: names of the settings a test may set; `password` is marked as sensitive.
    """

    kind: str
    pip_url: str
    executable: str
    capabilities: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def declaration(self, name: str, **extras: Any) -> dict[str, Any]:
        """Return the plugin's entry in meltano.yml; `extras` are `config`, `select`, `metadata`, ...

        The connector's settings and capabilities are declared too, as no lock file is at hand. An extra
        that is None leaves the key out.
        """
        entry: dict[str, Any] = {
            "name": name,
            "namespace": name.replace("-", "_"),
            "pip_url": self.pip_url,
            "executable": self.executable,
        }
        if self.capabilities:
            entry["capabilities"] = list(self.capabilities)
        if self.settings:
            entry["settings"] = [
                {"name": setting, "kind": "string", "sensitive": True}
                if setting == "password"
                else {"name": setting}
                for setting in self.settings
            ]
        return {key: value for key, value in (entry | extras).items() if value is not None}


SDK_TAP = ("catalog", "discover", "state")
POSTGRES_SETTINGS = ("host", "port", "user", "password")

CONNECTORS = {
    "tap-github": Connector(
        "extractors",
        f"meltanolabs-tap-github==1.30.1 {SDK}",
        "tap-github",
        SDK_TAP,
        # Read by the tap although it does not declare it.
        ("api_url_base", "repositories"),
    ),
    "tap-postgres": Connector(
        "extractors",
        f"meltanolabs-tap-postgres==0.10.0 {SDK}",
        "tap-postgres",
        SDK_TAP,
        (*POSTGRES_SETTINGS, "database", "filter_schemas"),
    ),
    "tap-postgres-old": Connector(
        "extractors",
        "pipelinewise-tap-postgres==2.1.0",
        "tap-postgres",
        ("properties", "discover", "state"),
        (*POSTGRES_SETTINGS, "dbname", "filter_schemas"),
    ),
    "target-postgres": Connector(
        "loaders",
        f"meltanolabs-target-postgres==0.8.1 {SDK}",
        "target-postgres",
        settings=(*POSTGRES_SETTINGS, "database", "default_target_schema", "load_method", "validate_records"),
    ),
    "target-csv-meltanolabs": Connector(
        "loaders", f"meltanolabs-target-csv==0.5.0 {SDK}", "target-csv", settings=("output_path",)
    ),
    "target-jsonl": Connector(
        "loaders",
        "target-jsonl==0.1.4",
        "target-jsonl",
        settings=("destination_path", "do_timestamp_file"),
    ),
    "meltano-map-transform": Connector(
        "mappers", f"meltano-map-transform==0.12.3 {SDK}", "meltano-map-transform"
    ),
}
