"""The words of a command: which name is a tap, a target, a file, and which stands in a wrong place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from flow_singer.errors import ConfigError
from flow_singer.plugins.about import TAP_CAPABILITIES, TARGET_CAPABILITIES
from flow_singer.plugins.datasources import is_data
from flow_singer.plugins.notfound import NOUNS
from flow_singer.plugins.programs import BUNDLED, find_plugin
from flow_singer.project.definitions import Plugin
from flow_singer.project.filekeys import KINDS
from flow_singer.stages.load import is_folder
from flow_singer.stages.workspace import Workspace

Role = Literal["extractors", "loaders"]
"""What a word is used as."""

_OTHER: dict[Role, Role] = {"extractors": "loaders", "loaders": "extractors"}
_WANTED = {"extractors": "a tap belongs", "loaders": "a target belongs"}
_HINTS = {
    "extractors": "A pipeline begins with a tap: flow run TAP [FILE.py ...] TARGET",
    "loaders": "A pipeline is one tap and one target: flow run TAP [FILE.py ...] TARGET",
}
_CAPABILITIES = {"extractors": TAP_CAPABILITIES, "loaders": TARGET_CAPABILITIES}


def is_file(word: str) -> bool:
    """Whether a word names a file of functions, or one function of it."""
    return re.search(r"\.py(:\w+)?$", word) is not None


def split_blocks(workspace: Workspace, words: Sequence[str]) -> list[list[str]]:
    """Split words into pipelines: a tap, files of functions, a target or folder; stdout where it has no target.

    Args:
        workspace: where jobs are looked up.
        words: as on the command line; the name of a job stands for its tasks.

    Raises:
        ConfigError: the words do not read so; one is no such plugin, or of another kind than its place
            asks for; or they name something that Flow does not run yet.
    """
    blocks: list[list[str]] = [[]]
    for word in words:
        is_open = bool(blocks[-1]) and target_of(blocks[-1]) is None
        if not is_job(workspace, word) or (is_open and "loaders" in _declared(workspace, word)):
            _append(workspace, blocks, word)
            continue
        if is_open:
            raise ConfigError(
                f"{word!r} is a job, but it stands where a target belongs.",
                f"A job is run by its name: flow run {word}",
            )
        for task in _tasks(workspace, word):
            try:
                _append(workspace, blocks, task)
            except ConfigError as error:
                said = f"{error.message} It stands in the tasks of the job {word!r}."
                raise ConfigError(said, error.hint) from error
    last = blocks[-1]
    if len(last) == 1 or (len(blocks) > 1 and is_file(last[-1])):
        raise ConfigError(
            f"{' '.join(last)!r} has no target.",
            "Write: flow run TAP [FILE.py ...] TARGET, or a folder that ends in / for a Data Package.",
        )
    if target_of(last) is None:
        _look_for(workspace, last)
    return blocks


def _append(workspace: Workspace, blocks: list[list[str]], word: str) -> None:
    """Put a word behind those that were read: into the last pipeline, or into a new one where that is complete.

    What it names is looked for at once: the last of a job must be there before the first has run.
    """
    if target_of(blocks[-1]) is not None:
        blocks.append([])
    block = blocks[-1]
    _check_kind(workspace, word, block)
    block.append(word)
    if is_file(word):
        from flow_singer.transforms.functions import split_spec

        split_spec(word)
    elif target_of(block) is not None:
        _look_for(workspace, block)


def _look_for(workspace: Workspace, block: Sequence[str]) -> None:
    find_plugin(block[0], "extractors", workspace.project, environ=workspace.environ)
    target = target_of(block)
    if target is not None and not is_folder(target):
        find_plugin(target, "loaders", workspace.project, environ=workspace.environ)


def target_of(block: Sequence[str]) -> str | None:
    """The target or folder at the end of a pipeline; None where it writes to stdout."""
    return block[-1] if len(block) > 1 and not is_file(block[-1]) else None


def is_job(workspace: Workspace, name: str) -> bool:
    """Whether a word is the name of a job; a tap of that name comes first."""
    project = workspace.project
    return project is not None and name in project.jobs and project.plugin("extractors", name) is None


def _tasks(workspace: Workspace, job: str) -> Sequence[str]:
    """The words of a job."""
    assert workspace.project is not None
    tasks = workspace.project.jobs[job]
    if not tasks:
        raise ConfigError(f"The job {job!r} has no tasks.", "Write some: tasks: [TAP TARGET]")
    return tasks


def _check_kind(workspace: Workspace, word: str, before: Sequence[str]) -> None:
    """Refuse a word that cannot stand behind those `before` it in its pipeline."""
    if not before:
        refuse_other_kind(workspace, word, "extractors")
    elif not is_file(word) and not is_folder(word):
        refuse_other_kind(workspace, word, "loaders")
        if word == before[0] and not _declared(workspace, word):
            raise ConfigError(f"{word!r} cannot be both tap and target.", _HINTS["loaders"])


def refuse_other_kind(workspace: Workspace, word: str, role: Role) -> None:
    """Refuse a word that is no tap where a tap belongs, or no target; nothing is started or installed for it.

    Args:
        workspace: whose meltano.yml says what the word is.
        word: as on the command line.
        role: what it is to be used as.

    Raises:
        ConfigError: it is of another kind: by its place in meltano.yml, by its own or its executable's name, by
            what it declares it can do.
    """
    if role == "extractors" and is_file(word):
        raise ConfigError(
            f"{word!r} is a file of functions, but it stands where {_WANTED[role]}.",
            "Functions stand between tap and target: flow run TAP FILE.py TARGET",
        )
    if role == "extractors" and is_data(word, "extractors" in _declared(workspace, word)):
        return
    _refuse_unsupported(workspace, word)
    if reason := _other_kind(workspace, word, role):
        raise ConfigError(f"{word!r} {reason}, but it stands where {_WANTED[role]}.", _HINTS[role])


def _declared(workspace: Workspace, word: str) -> list[str]:
    """The kinds under which meltano.yml has a plugin of this name."""
    project = workspace.project
    return [kind for kind in KINDS if project.plugin(kind, word) is not None] if project else []


def _refuse_unsupported(workspace: Workspace, word: str) -> None:
    project = workspace.project
    declared = _declared(workspace, word)
    owner, colon, _ = word.partition(":")
    if (colon and "/" not in word) or declared == ["utilities"]:
        kinds = [kind for kind in _declared(workspace, owner) if kind != "utilities"]
        whose = f"the {NOUNS[kinds[0]]} {owner}" if kinds else "a utility"
        raise ConfigError(
            f"{word!r} is a command of {whose}, which Flow does not run yet.",
            "Run taps and targets with flow, and the command by itself, after it in your schedule"
            " (meltano invoke, or its own program).",
        )
    if project is not None and (word in project.mappings or declared == ["mappers"]):
        raise ConfigError(
            f"{word!r} is a mapper, which flow run does not start yet.",
            "Write it as functions of a .py file, or put the mapper into a shell pipe between flow run and flow load.",
        )


def _other_kind(workspace: Workspace, word: str, role: Role) -> str | None:
    """What shows that a word is of the other kind: "is a target …"; None where nothing does."""
    other = _OTHER[role]
    noun = NOUNS[other]
    declared = _declared(workspace, word)
    project = workspace.project
    plugin = project.plugin(role, word) if project and role in declared else None
    if plugin is not None:
        if _able(plugin, other) and not _able(plugin, role):
            return f"is a {noun} by its capabilities ({', '.join(sorted(plugin.capabilities or ()))})"
        program = Path(plugin.executable).name
        if _kind_of_name(program) == other and not _able(plugin, role):
            return f"is a {noun} by its executable {program!r}"
        return None
    if other in declared:
        return f"is a {noun} in meltano.yml (plugins.{other})"
    name = Path(word).name
    if name in BUNDLED[role]:
        return None
    return f"is a {noun}" if name in BUNDLED[other] or _kind_of_name(name) == other else None


def _able(plugin: Plugin, role: Role) -> bool:
    """Whether it declares what only plugins of that kind can do."""
    return bool(_CAPABILITIES[role] & (plugin.capabilities or frozenset()))


def _kind_of_name(name: str) -> Role | None:
    if name.startswith(("tap-", "tap_")):
        return "extractors"
    return "loaders" if name.startswith(("target-", "target_")) else None
