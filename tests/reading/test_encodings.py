"""What a file is, before its rows are looked at: its encoding, or that it is no text at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from barefiles import of_text, refused

CITIES = "id,v\n1,Müller\n2,Köln\n3,Łódź\n4,"


@pytest.mark.parametrize(
    ("data", "value", "told"),
    [
        ("id,v\n1,Привет\n2,мир\n".encode("utf-16-le"), "Привет", "utf-16-le"),
        ("id,v\n1,日本語\n2,x\n".encode("utf-16-be"), "日本語", "utf-16-be"),
        ("id,v\n1,naïve\n".encode("cp1252"), "naïve", "cp1252"),
        ("id,v\n1,Zürich “x”\n".encode("cp1252"), "Zürich “x”", "cp1252"),
        (b"id,v\n1,a\x81\n", "a\x81", "latin-1"),
        (b"id,v\n1,x\n\x1a", None, None),
        ("id,v\n1,😀\n".encode(), "😀", None),
    ],
)
def test_the_encoding(tmp_path: Path, data: bytes, value: str | None, told: str | None) -> None:
    if value is None:
        (tmp_path / "a.csv").write_bytes(data)
        assert "line 3" in refused(tmp_path / "a.csv").message
        return
    found = of_text(tmp_path, data)
    assert found.records[0]["v"] == value
    assert [told in one for one in found.told if told] == ([True] if told else [])


def test_a_byte_that_is_not_utf_8_does_not_spoil_all_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CITIES.encode() + b"\xfc\n")
    error = refused(tmp_path / "a.csv")
    assert error.message == f"{tmp_path}/a.csv is UTF-8 but for 1 byte, the first in line 5."
    found = of_text(tmp_path, CITIES.encode() + b"\xfc\n", encoding="latin-1")
    assert found.records[3]["v"] == "ü"


@pytest.mark.parametrize("encoding", ["cp1251", "cp1253", "shift_jis", "gb18030"])
def test_letters_that_nothing_tells_are_asked_for(tmp_path: Path, encoding: str) -> None:
    word = {
        "cp1251": "Привет мир",
        "cp1253": "Καλημέρα",
        "shift_jis": "日本語日本語",
        "gb18030": "中文中文中文",
    }[encoding]
    data = f"id,v\n1,{word}\n".encode(encoding)
    (tmp_path / "a.csv").write_bytes(data)
    error = refused(tmp_path / "a.csv")
    assert "its letters are not Latin ones" in error.message
    assert "'encoding'" in (error.hint or "")
    assert of_text(tmp_path, data, encoding=encoding).records[0]["v"] == word


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xef\xbb\xbf <!DOCTYPE html><html>", "is a web page"),
        (b"<!-- x -->\n<html>", "is a web page"),
        (b"<?xml version='1.0'?><a/>", "is XML"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is no text: it is a PDF"),
        (b"GIF89a\x01\x01\x80,,", "is no text: it is a picture"),
        (b"\x01\x02\x03,\x04\n" * 9, "has bytes that no text has"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b'{"error": "not found", "a": 1}\n', "holds JSON, not CSV"),
        (b'[{"a": 1}, {"a": 2}]', "holds JSON, not CSV"),
        (b"PK\x03\x04" + b"x" * 50, "cannot be read as a workbook"),
    ],
)
def test_what_is_no_csv(tmp_path: Path, data: bytes, message: str, packed: bool) -> None:
    file = tmp_path / ("a.csv.gz" if packed else "a.csv")
    file.write_bytes(gzip.compress(data) if packed else data)
    assert message in refused(file).message


def test_a_mark_before_the_first_name_is_none_of_it(tmp_path: Path) -> None:
    data = "id,v\n1,x\n".encode("utf-16")
    for encoding in (None, "utf-16", "utf-16-le"):
        assert of_text(tmp_path, data, encoding=encoding).records == [{"id": 1, "v": "x"}]
