"""What to say of a word that is no plugin: what it is instead, what it may have been meant for, what there is."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, listed, near_names

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project

NOUNS = {"extractors": "tap", "loaders": "target", "mappers": "mapper", "utilities": "utility"}
_BEFORE = {"extractors": ("tap-", "tap_"), "loaders": ("target-", "target_")}
_OF_FILES = frozenset(
    ".csv .db .ipynb .json .jsonl .log .parquet .py .sql .sqlite .toml .tsv .txt .xlsx .yaml .yml .zip".split()  # noqa: SIM905
)
"""How the names of files end."""


def not_found(
    name: str, kind: str, project: Project | None, path: str, *, bundled: Collection[str] = ()
) -> ConfigError:
    """Make the error for a name that no plugin has.

    That a package of the name may be installed is said only where the name is like a plugin's, and like no other
    name that there is.

    Args:
        name: as on the command line.
        kind: what it was to be used as: extractors, loaders or mappers.
        project: None where there is no meltano.yml.
        path: folders where it was looked for, as in PATH.
        bundled: names of this kind that come with Flow.
    """
    noun = NOUNS[kind]
    if other := _something_else(name, kind, project):
        return other
    known = known_plugins(kind, project, path, bundled=bundled)
    near = near_plugins(name, known)
    jobs = project.jobs if project is not None and kind == "extractors" else {}
    near += [f"the job {one!r}" for one in near_names(name, jobs)]
    where = f"{project.root / 'meltano.yml'}" if project else "meltano.yml (there is none)"
    said = (
        f"There is no {noun} {name!r}. Looked in {where}, the bundled ones ({', '.join(bundled) or 'none'})"
        " and PATH."
    )
    if near:
        return ConfigError(said, did_you_mean(near))
    if name.startswith(_BEFORE.get(kind, ())):
        advice = f"To have it installed, add to meltano.yml: plugins: {{{kind}: [{{name: {name}, pip_url: {name}}}]}}"
        return ConfigError(said, f"{there_are(f'{noun}s', known)} {advice}")
    advice = f"For a folder, end it with a slash: {name}/" if kind == "loaders" and "/" not in name else ""
    listed = [there_are(f"{noun}s", known), there_are("jobs", jobs) if jobs else "", advice]
    return ConfigError(said, " ".join(filter(None, listed)))


def known_plugins(
    kind: str, project: Project | None, path: str, *, bundled: Collection[str] = ()
) -> list[str]:
    """The names that there are: of meltano.yml first, then the bundled ones, then the programs in the folders of PATH."""
    declared = sorted(plugin.name for plugin in project.plugins(kind)) if project else []
    programs = (
        file.name
        for folder in path.split(os.pathsep)
        if folder and os.path.isdir(folder)
        for file in Path(folder).glob(f"{NOUNS[kind]}-*")
    )
    return list(dict.fromkeys([*declared, *sorted(bundled), *sorted(programs)]))


def near_plugins(name: str, known: Collection[str]) -> list[str]:
    """The names that differ little from one, in quotes; that both begin with `tap-` makes them no more alike."""
    names = {_rest(one): one for one in known}
    return [repr(names[one]) for one in near_names(_rest(name), names)]


def there_are(what: str, names: Collection[str]) -> str:
    """`Taps: a, b.`; of many, the first ten, and how to see all."""
    return f"{what.capitalize()}: {listed(names, 'flow list')}."


def _rest(name: str) -> str:
    for before in (*_BEFORE["extractors"], *_BEFORE["loaders"]):
        if name.startswith(before) and name != before:
            return name.removeprefix(before)
    return name


def _something_else(name: str, kind: str, project: Project | None) -> ConfigError | None:
    """The error for a word that is something that Flow knows, or that lies on the disk; None where it is nothing."""
    noun = NOUNS[kind]
    belongs = f"but it stands where a {noun} belongs."
    words = name.split()
    if len(words) > 1:
        if "|" in name:
            return ConfigError(f"{name!r} is a whole pipe in one word.", "Take the quotes away.")
        return ConfigError(
            f"{name!r} is {len(words)} names in one word.", f"Take the quotes away: {' '.join(words)}"
        )
    if project is not None and name in project.jobs:
        return ConfigError(f"{name!r} is a job, {belongs}", f"A job is run by its name: flow run {name}")
    if environments := list(_environments_with(name, kind, project)):
        environment, place = environments[0]
        return ConfigError(
            f"{name!r} has settings in the environment {environment!r} ({place}), but is no {noun} of the project.",
            f"Define it under plugins: {kind}: in meltano.yml; an environment only changes its settings.",
        )
    if os.path.isdir(name):
        hint = "A pipeline begins with a tap: flow run TAP [FILE.py ...] TARGET"
        if kind == "extractors":
            hint = f"To read the data in it, end it with a slash: {name}/"
        elif kind == "loaders":
            hint = f"To write a Data Package into it, end it with a slash: {name.rstrip('/')}/"
        return ConfigError(f"{name!r} is a folder, {belongs}", hint)
    if os.path.isfile(f"{name}.py"):
        return ConfigError(f"There is no {noun} {name!r}.", f"Did you mean the file {name}.py?")
    if os.path.isfile(name) or Path(name).suffix.lower() in _OF_FILES:
        return ConfigError(f"{name!r} is a file, {belongs}", _hint_for_file(name, kind))
    return None


def _environments_with(name: str, kind: str, project: Project | None) -> Iterator[tuple[str, str]]:
    """The environments of meltano.yml that have an entry for a plugin, and where each stands."""
    if project is None:
        return
    for environment, entry in project.raw.named("environments").items():
        found = entry.section("config").section("plugins").named(kind).get(name)
        if found is not None:
            yield environment, found.at("name")


def _hint_for_file(name: str, kind: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix == ".py":
        return "Functions stand between tap and target: flow run TAP FILE.py TARGET"
    if suffix in (".json", ".yml", ".yaml") and os.path.isfile(name):
        return f"A config is given beside it: flow {'run TAP' if kind == 'extractors' else 'load TARGET'} --config {name}"
    if kind == "extractors":
        return f"Messages from a file: flow load TARGET < {name}. For data of another form, name a tap that reads it."
    stem = name.removesuffix(Path(name).suffix) or name
    return f"For files of data, name a folder that ends in a slash, such as {stem}/, or a target such as target-csv."
