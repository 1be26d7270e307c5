"""The server that stands in for GitHub answers as its taps expect."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from .harness import REPOSITORIES, GitHubServer


def get(url: str) -> tuple[Any, str | None]:
    """The JSON at this URL, and the URL of the next page."""
    with urlopen(url) as response:
        link = response.headers["Link"]
        assert int(response.headers["X-RateLimit-Remaining"]) > 0
        return json.load(response), link and link.partition(">")[0].removeprefix("<")


@pytest.mark.parametrize(
    ("path", "pages"),
    [("issues", [100, 100, 43]), ("issues/comments", [100, 100, 43])],
    ids=["cursor", "page"],
)
def test_pages_are_walked_by_the_link_header(github: GitHubServer, path: str, pages: list[int]) -> None:
    url: str | None = f"{github.url}/repos/octo-org/atlas/{path}?per_page=100&state=all&direction=asc"
    sizes: list[int] = []
    seen: set[int] = set()
    while url:
        items, url = get(url)
        sizes.append(len(items))
        seen.update(item["id"] for item in items)
    assert sizes == pages
    assert len(seen) == sum(pages)


def test_since_is_inclusive_and_follows_updates(github: GitHubServer) -> None:
    last = github.api.issues("octo-org/borealis")[-1]
    github.api.update_issue("octo-org/borealis", 2, updated_at="2025-01-01T00:00:00Z")
    url = f"{github.url}/repos/octo-org/borealis/issues?state=all&sort=updated&direction=asc"
    # Unescaped, as some clients send it.
    items, _next = get(f"{url}&since={last['updated_at'].replace('Z', '+00:00')}")
    assert [item["number"] for item in items] == [last["number"], 2]


def test_names_are_checked_by_graphql(github: GitHubServer) -> None:
    names = ("ATLAS", "octo-org"), ("no-such", "octo-org")
    asked = [
        f'repo{i}: repository(name: "{name}", owner: "{owner}") {{ id }}'
        for i, (name, owner) in enumerate(names)
    ]
    query = f"query {{{' '.join(asked)}}}"
    request = Request(f"{github.url}/graphql", data=json.dumps({"query": query}).encode())
    with urlopen(request) as response:
        data = json.load(response)["data"]
    assert data["repo0"] == {"nameWithOwner": "octo-org/atlas", "databaseId": 1296269}
    assert data["repo1"] is None


def test_a_server_told_to_fail_refuses_later_requests() -> None:
    with GitHubServer(fail_after=1) as server:
        url = f"{server.url}/repos/{next(iter(REPOSITORIES))}"
        get(url)
        with pytest.raises(HTTPError, match="401") as refused:
            get(url)
        refused.value.close()


def test_the_command_line_writes_its_port_once_it_listens(tmp_path: Path) -> None:
    from github_server import __file__ as script

    port_file = tmp_path / "port"
    command = [sys.executable, script, "--port-file", str(port_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            assert url.endswith(f":{port_file.read_text().strip()}")
            assert get(f"{url}/users/ada")[0]["login"] == "ada"
        finally:
            server.terminate()
