"""What uv is to install, given to it so that no other user of the machine can read a secret in it.

Every argument of a process can be read by all users (`ps`); its environment and its standard input cannot.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from flow_singer.errors import ConfigError
from flow_singer.project.masking import find_secrets, mask
from flow_singer.project.variables import expand

_USERINFO = re.compile(r"://([^/\s]+)@")
_GIT = re.compile(r"(git\+)(https?://)([^/\s]+)@([^/\s@]+)([^@#\s]*)")

# An option and the variable that says the same; what parts its values. Source: uv, "Environment variables".
_VARIABLES = {
    "--index": ("UV_INDEX", " "),
    "--default-index": ("UV_DEFAULT_INDEX", " "),
    "--index-url": ("UV_INDEX_URL", " "),
    "--extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "--find-links": ("UV_FIND_LINKS", ","),
    "--constraint": ("UV_CONSTRAINT", " "),
    "--override": ("UV_OVERRIDE", " "),
    "--build-constraint": ("UV_BUILD_CONSTRAINT", " "),
}
_IN_FILE = ("--editable", "--requirement")  # a line of a requirements file says the same
_LONG = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-c": "--constraint",
    "-b": "--build-constraint",
    "-e": "--editable",
    "-r": "--requirement",
    "--constraints": "--constraint",
    "--overrides": "--override",
    "--build-constraints": "--build-constraint",
    "--requirements": "--requirement",
}


@dataclass
class Requirements:
    """What `uv pip install` gets, by three ways.

    Attributes:
        arguments: every user of the machine can read them.
        lines: a requirements file, for its standard input; empty where the arguments say everything.
        variables: for its environment.
        secrets: what its output must not show.
    """

    arguments: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list, repr=False)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def split_pip_url(name: str, pip_url: str, variables: Mapping[str, str], *, strict: bool) -> list[str]:
    """Fill in the variables of a plugin's `pip_url` and split it into arguments, as a shell would.

    Raises:
        ConfigError: it cannot be split, or is empty.
    """
    try:
        arguments = shlex.split(expand(pip_url, variables, strict=strict))
    except ValueError as exc:
        raise ConfigError(
            f"The pip_url of {name} in meltano.yml cannot be split into arguments: {exc}.",
            "Close the quotes in it.",
        ) from exc
    if not arguments:
        raise ConfigError(
            f"The pip_url of {name} in meltano.yml is empty once its variables are filled in.",
            "Set the variables that it names.",
        )
    return arguments


def read_requirements(
    name: str,
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    secrets: Collection[str],
    filled_in: Mapping[str, str],
) -> Requirements:
    """Decide what goes to uv as argument, on its standard input, or as variable; without a secret, as argument.

    Args:
        name: of the plugin.
        arguments: its `pip_url`, split.
        environ: uv's environment, which may configure git already.
        secrets: known ones.
        filled_in: the variables in its `pip_url`: a URL that holds the value of one may hold a secret.

    Raises:
        ConfigError: a secret stands where only an argument can bring it.
    """
    known = frozenset(secrets) | find_secrets({**filled_in, "pip_url": [*arguments]})
    known |= {part for one in arguments for userinfo in _USERINFO.findall(one) for part in _parts(userinfo)}
    inserted = [value for value in filled_in.values() if len(value) > 3]
    result = Requirements(secrets=known)

    def is_private(text: str) -> bool:
        inside = "://" in text and (_USERINFO.search(text) or any(value in text for value in inserted))
        return bool(inside) or mask(text, known) != text

    options: dict[str, list[str]] = {}
    for option, value in _options(arguments):
        if option in _VARIABLES:
            options.setdefault(option, []).append(value)
            continue
        told = _without_git_password(value, result.variables, environ)
        if not is_private(told):
            result.arguments += [option, told] if option else [told]
        elif option or not told.startswith("-"):
            result.lines.append(f"{option} {told}".strip())
        elif "=" in told and mask(told, known) != told:
            raise ConfigError(
                f"Option {told.partition('=')[0]} in the pip_url of {name} holds a secret, which every user of"
                " the machine could read.",
                "Give it to uv by a variable, UV_… or in a file such as .netrc.",
            )
        else:
            result.arguments.append(told)
    for option, values in options.items():
        if any(map(is_private, values)):
            variable, separator = _VARIABLES[option]
            result.variables[variable] = separator.join(values)
        else:
            result.arguments += [word for value in values for word in (option, value)]
    if result.lines:
        result.arguments += ["-r", "-"]
    return result


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option that need not be an argument, by its long name, with its value; all else without a name."""
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if word[:2] in _LONG and len(word) > 2 and word[1] != "-":  # -iURL, -i=URL
            option, equals, value = word[:2], "=", word[2:].removeprefix("=")
        option = _LONG.get(option, option)
        if option not in _VARIABLES and option not in _IN_FILE:
            yield "", word
        elif equals:
            yield option, value
        elif (following := next(words, None)) is not None:
            yield option, following
        else:
            yield "", word  # uv says that it lacks its value


def _parts(userinfo: str) -> tuple[str, ...]:
    parts = [part for part in userinfo.split(":", 1) if part not in ("git", "oauth2", "x-access-token")]
    return (*parts, *map(unquote, parts))


def _without_git_password(requirement: str, variables: dict[str, str], environ: Mapping[str, str]) -> str:
    """Take user and password out of the URL of a Git repository: uv would hand them to git as an argument.

    They go into a header that git sends to this repository alone, set by variables.

    Source: git, "GIT_CONFIG_COUNT" and "http.<url>.extraHeader".
    """
    found = _GIT.search(requirement)
    if found is None:
        return requirement
    git, scheme, userinfo, host, path = found.groups()
    user, _, password = userinfo.partition(":")
    header = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    count = {**environ, **variables}.get("GIT_CONFIG_COUNT", "")
    number = int(count) if count.isdigit() else 0
    variables |= {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{scheme}{host}{path}.extraHeader",
        f"GIT_CONFIG_VALUE_{number}": f"Authorization: Basic {header}",
    }
    return f"{requirement[: found.start()]}{git}{scheme}{host}{path}{requirement[found.end() :]}"
