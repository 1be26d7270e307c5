"""A person's own descriptor, laid over the one that is made of the data.

It may describe, and promise: titles, licences, units, constraints. What follows from the files stays as it is made:
where they lie, how they are written, of which type their cells are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.singer.foreignkeys import FOREIGN_KEYS

_OF_THE_PACKAGE = frozenset({"$schema", "profile", "created", "resources"})
_OF_THE_FILES = frozenset(
    "path data type profile format mediatype encoding dialect compression bytes hash rows schema".split()  # noqa: SIM905
)
_OF_THE_SCHEMA = frozenset({"fields", "missingValues", "fieldsMatch", "primaryKey", "$schema", "profile"})
_OF_THE_FIELD = frozenset(
    {"name", "type", "format", "missingValues", "bareNumber", "decimalChar", "groupChar"}
)
_NEVER_TOLD = frozenset({"created", "resources", "schema", "fields"})
_PROMISES = frozenset({FOREIGN_KEYS, "uniqueKeys"})
"""Words of a Table Schema that say of the rows what only a look at them can tell."""


class OwnDescriptor:
    """What a person says of a package.

    Args:
        path: a `datapackage.json`, or a Table Schema for a package of one stream.
        checked: whether frictionless looks at the rows before they are published.
        notice: called with what a person should hear.

    Raises:
        ConfigError: it cannot be read, or is neither; or it promises something of the rows, and nobody looks at them.
    """

    def __init__(self, path: Path, *, checked: bool, notice: Callable[[str], None]) -> None:
        self._path, self._notice = path, notice
        self._told: set[str] = set()
        found = _read(path)
        self._schema = found if "fields" in found and "resources" not in found else None
        self._package: Mapping[str, Any] = {} if self._schema is not None else found
        resources = self._package.get("resources", [])
        if not isinstance(resources, list) or not all(
            isinstance(one, dict) and isinstance(one.get("name"), str) for one in resources
        ):
            raise self._error("its resources are no objects with a name", "Give each resource a 'name'.")
        self._resources: dict[str, dict[str, Any]] = {one["name"]: one for one in resources}
        if self._promises and not checked:
            raise ConfigError(
                f"The descriptor {path} has constraints or keys, and nobody looks whether the rows keep them.",
                "Add --check, which reads CSV and JSON Lines, or say it as expect: in meltano.yml, and leave them out "
                "of the descriptor.",
            )

    @property
    def _promises(self) -> bool:
        """Whether it says something of the rows that only a look at them can tell."""
        schemas = [one.get("schema") for one in self._resources.values()]
        if self._schema is not None:
            schemas.append(self._schema)
        return any(
            _PROMISES & schema.keys() or any(one.get("constraints") for one in _fields_of(schema))
            for schema in schemas
            if isinstance(schema, dict)
        )

    def laid_over(self, descriptor: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
        """The descriptor of a package with what the person says.

        Args:
            descriptor: as it is made of the data.
            whole: whether it is that of all of the package, so that each resource that the person names is in it.

        Raises:
            ConfigError: it says something of a resource or column that is not there, or contradicts what is there.
        """
        made = {**descriptor, **self._kept(self._package, _OF_THE_PACKAGE, "the package", descriptor)}
        by_name = {str(one["name"]): one for one in descriptor["resources"]}
        own = self._resources
        if self._schema is not None:
            if whole and len(by_name) != 1:
                raise self._error(
                    f"it is a Table Schema, and the package has {len(by_name)} streams",
                    "Write a descriptor: {resources: [{name: …, schema: {…}}]}",
                )
            own = {name: {"schema": self._schema} for name in list(by_name)[:1]}
        if whole:
            self._check_names(own, by_name, "no resource")
        else:  # what they refer to may be in the package that is there
            own = {name: _without_foreign_keys(one) for name, one in own.items()}
        made["resources"] = [
            self._resource(one, own[name]) if name in own else one for name, one in by_name.items()
        ]
        return made

    def _resource(self, made: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        where = f"resource '{made['name']}'"
        result = {**made, **self._kept(own, _OF_THE_FILES, where, made)}
        schema = own.get("schema")
        if schema is None:
            return result
        if not isinstance(schema, dict):
            raise self._error(f"the schema of {where} is no object", "Write it into the descriptor itself.")
        fields = {str(one["name"]): one for one in made["schema"]["fields"]}
        own_fields = {str(one.get("name")): one for one in _fields_of(schema)}
        self._check_names(own_fields, fields, f"no field of {where}")
        self._check_key(where, made["schema"], schema)
        result["schema"] = {
            **made["schema"],
            **self._kept(schema, _OF_THE_SCHEMA, f"the schema of {where}", made["schema"]),
            "fields": [
                self._field(where, one, own_fields[name]) if name in own_fields else one
                for name, one in fields.items()
            ],
        }
        return result

    def _field(self, where: str, made: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        name = made["name"]
        for word, default in (("type", None), ("format", "default")):
            if word in own and own[word] != made.get(word, default) and own[word] != default:
                raise self._error(
                    f"the {word} of field '{name}' of {where} is {own[word]!r}, and in the data it is "
                    f"{made.get(word, default)!r}",
                    "Leave it out, or change the column on the way: in a function, or in the SCHEMA of the tap.",
                )
        result = {**made, **self._kept(own, _OF_THE_FIELD, f"field '{name}' of {where}", made)}
        if isinstance(own.get("constraints"), dict):
            result["constraints"] = {**made.get("constraints", {}), **own["constraints"]}
        return result

    def _check_key(self, where: str, made: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        if "primaryKey" not in own:
            return
        said, key = own["primaryKey"], made.get("primaryKey", [])
        if ([said] if isinstance(said, str) else said) != key:
            raise self._error(
                f"the primary key of {where} is {said!r}, and that of the data is {', '.join(key) or 'none'}",
                "Give the stream its key: table-key-properties in meltano.yml, or key= in a transform.",
            )

    def _check_names(self, own: Collection[str], there: Collection[str], what: str) -> None:
        for name in own:
            if name not in there:
                near = did_you_mean(near_names(name, there))
                names = ", ".join(there)
                raise self._error(f"there is {what} '{name}'", near or f"There are: {names}.")

    def _kept(
        self, own: Mapping[str, Any], derived: frozenset[str], where: str, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a person may say; the rest is made of the data, and told where it would be other."""
        passed = {word for word in own if word in derived or word.startswith("flow:")}
        told = sorted(one for one in passed - _NEVER_TOLD if own[one] != made.get(one))
        if told and where not in self._told:
            self._told.add(where)
            self._notice(
                f"{self._path}: {', '.join(told)} of {where} follow from the data and stay as they are made."
            )
        return {word: value for word, value in own.items() if word not in passed}

    def _error(self, what: str, hint: str) -> ConfigError:
        return ConfigError(f"The descriptor {self._path} does not fit: {what}.", hint)


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as exc:
        raise ConfigError(
            f"--descriptor {path} cannot be read: {exc.strerror}.",
            "Give a file that is there and can be read.",
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(
            f"--descriptor {path} is no JSON object: {exc}.",
            "Give a datapackage.json, or a Table Schema in JSON.",
        ) from exc


def _without_foreign_keys(resource: Mapping[str, Any]) -> dict[str, Any]:
    schema = resource.get("schema")
    if not isinstance(schema, dict):
        return dict(resource)
    return {**resource, "schema": {k: v for k, v in schema.items() if k != FOREIGN_KEYS}}


def _fields_of(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = schema.get("fields")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
