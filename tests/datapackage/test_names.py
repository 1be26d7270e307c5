"""Names of files and resources: one stream, one name, whatever else there is."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_singer.datapackage.names import earlier_file_stem, file_stem, folds_case, resource_names, slug

PLAIN = ["issues", "public-orders", "my_stream.v1", "events-20240101", "x" * 80, "a.b-c_d"]
ALIKE = [
    "a/b", "a:b", "a-b", "a\\b", "a?b", "a b", "a*b", "a\x00b", "a-b-2", "a.b.", "a.b", " a.b",
    "Users", "users", "USERS", "users.", "users ", ".users", "-users-", "Üser", "üser", "U\u0308ser",
    "straße", "strasse", "ﬁle", "file", "e\u0301", "\u00e9", "a\u200db", "ab", "a\u2028b", "a\x85b",
    "", ".", "..", "...", "-", " ", "\n", "stream", "con", "CON", "con.txt", "stream-con", "com¹", "NUL.a",
    "x" * 81, "x" * 80, "x" * 10_000, "x" * 10_001, "\U0001f600" * 100, "\U0001f600" * 101, "日" * 80, "日" * 81,
    "\ud800", "\udfff", "\ud800a", "users--6b0cc904", "Users--6b0cc904", "a-b--c14cddc0",
]  # fmt: skip
DANGEROUS = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_stands_for_itself(name):
    assert file_stem(name) == resource_name(name) == name


@pytest.mark.parametrize("name", ["Users", "Account", "Üser"])
def test_capitals_need_no_digest_where_the_file_system_tells_them_apart(name):
    assert file_stem(name, folds_case=False) == name
    assert file_stem(name) != name


def test_a_file_system_is_asked_whether_it_tells_capitals_apart(tmp_path):
    (tmp_path / "folder").mkdir()
    assert folds_case(tmp_path / "folder") == (tmp_path / "FOLDER").exists()


def test_resources_of_a_package_need_a_digest_only_where_their_names_would_be_one():
    assert resource_names(["Account", "a/b"]) == {"Account": "account", "a/b": "a-b"}
    for streams in itertools.permutations(["Users", "users", "USERS"]):
        names = resource_names(streams)
        assert names["users"] == "users"
        assert len(set(names.values())) == 3
        assert all(name.startswith("users--") for stream, name in names.items() if stream != "users")


@pytest.mark.parametrize("name", ["two words", "\u00fcbung", "a--b", "日" * 60])
def test_a_file_may_have_what_a_resource_may_not(name):
    assert file_stem(name) == name
    assert re.fullmatch(r"[a-z0-9._-]+", resource_name(name))


def test_no_two_streams_have_one_name_on_any_file_system():
    for one, other in itertools.combinations(ALIKE, 2):
        assert fold(file_stem(one)) != fold(file_stem(other)), (one, other)
        assert file_stem(one, folds_case=False) != file_stem(other, folds_case=False)
    assert len(set(map(fold, resource_names(ALIKE).values()))) == len(set(ALIKE))


def test_a_name_that_another_stream_was_given_is_changed_itself():
    given_to_users = file_stem("Users")
    assert given_to_users != "Users"
    assert file_stem(given_to_users) != given_to_users


@pytest.mark.parametrize("name", ALIKE)
def test_every_file_system_takes_the_name(name):
    for stem in (file_stem(name), resource_name(name)):
        assert 0 < len(f".{stem}.csv.committed.abcdefgh.tmp".encode()) <= 255
        assert not DANGEROUS.search(stem)
        assert stem == stem.strip("-. ")
        assert stem.isprintable()
        assert not re.match(r"(?i)(con|nul|com\W)", stem)


@given(st.text(), st.text())
def test_names_differ_where_streams_differ(one, other):
    assert (fold(file_stem(one)) == fold(file_stem(other))) == (one == other)
    assert len(set(map(fold, resource_names({one, other}).values()))) == len({one, other})


def test_a_slug_resembles_a_name():
    assert slug("My Package!") == "my-package"
    assert slug("CON") == "stream-con"
    assert slug("...", default="package") == "package"


def test_what_version_0_1_called_a_file_is_known():
    assert earlier_file_stem("Orders:2024/x") == "Orders-2024-x"
    assert earlier_file_stem("Users") == "Users"
    assert earlier_file_stem("..") == "stream"
    assert earlier_file_stem("con") == "stream-con"


def resource_name(stream):
    return resource_names([stream])[stream]


def fold(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
