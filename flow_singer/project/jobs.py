"""What a pipeline may name besides plugins: the jobs of meltano.yml, and the mappings of its mappers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.project.yamlfile import Section


def job_words(jobs: Mapping[str, Section]) -> dict[str, tuple[str, ...]]:
    """The words of each job's tasks, in sequence; a task is text, or a list of tasks.

    Raises:
        ConfigError: a task is something else.
    """
    return {name: tuple(_words(job.get("tasks"), job)) for name, job in jobs.items()}


def _words(task: Any, job: Section) -> Iterator[str]:
    if isinstance(task, str):
        yield from task.split()
    elif isinstance(task, list):
        for part in task:
            yield from _words(part, job)
    else:
        raise job.unfit("tasks", "text, or a list of texts")


def mapping_owners(mappers: Mapping[str, Section]) -> dict[str, str]:
    """The mapper that owns each mapping, by the mapping's name.

    Raises:
        ConfigError: two mappers have a mapping of the same name.
    """
    owners: dict[str, str] = {}
    for mapper, entry in mappers.items():
        for name, mapping in entry.named("mappings").items():
            if name in owners:
                raise ConfigError(
                    f"{mapping.place}: mapping '{name}' is defined by '{owners[name]}' and '{mapper}'.",
                    "Rename one of the two: a pipeline names mappings, not mappers.",
                )
            owners[name] = mapper
    return owners
