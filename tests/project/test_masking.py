from __future__ import annotations

import base64
import csv
import html
import io
import json
import shlex
import subprocess
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flow_singer.project.masking import find_secrets, looks_secret, mask

# ------------------------------------------------------------------------------------ what is masked


def test_mask_hides_long_secrets_first_and_leaves_short_ones() -> None:
    assert mask("token abcd and abcdef, id 1", {"abcd", "abcdef", "1", "id"}) == "token *** and ***, id 1"
    assert mask("nothing", ()) == "nothing"


def basic(before: str) -> Callable[[str], str]:
    def encode(secret: str) -> str:
        return base64.b64encode(f"{before}:{secret}".encode()).decode()

    return encode


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON in ASCII": json.dumps,
    "JSON in JSON": lambda s: json.dumps(json.dumps({"a": s})),
    "JSON in JSON in JSON": lambda s: json.dumps(json.dumps(json.dumps(s), ensure_ascii=False)),
    "JSON with escaped slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "repr": repr,
    "repr of a dict": lambda s: repr({"a": s, "b": "'"}),
    "repr of repr": lambda s: repr(repr(s)),
    "repr with double quotes": lambda s: repr(f"'{s}"),
    "repr with both quotes": lambda s: repr(f"'\"{s}"),
    "repr of bytes": lambda s: repr(s.encode()),
    "repr of JSON bytes": lambda s: repr(json.dumps(s).encode()),
    "ascii": ascii,
    "unicode_escape": lambda s: s.encode("unicode_escape").decode(),
    "URL": quote,
    "URL, all quoted": lambda s: quote(s, safe=""),
    "URL, lower case": lambda s: "".join(
        f"%{octet:02x}" if not chr(octet).isalnum() or octet > 127 else chr(octet) for octet in s.encode()
    ),
    "URL of Latin-1": lambda s: quote(s, safe="", encoding="latin-1", errors="ignore"),
    "form": quote_plus,
    "query": lambda s: urlencode({"password": s, "x": 1}),
    "URL in URL": lambda s: quote(quote(s, safe=""), safe=""),
    "HTML": html.escape,
    "HTML in HTML": lambda s: html.escape(html.escape(s)),
    "HTML in ASCII": lambda s: html.escape(s).encode("ascii", "xmlcharrefreplace").decode(),
    "XML attribute": lambda s: html.escape(s).replace("&#x27;", "&apos;").replace("\n", "&#10;"),
    "shell": shlex.quote,
    "shell in JSON": lambda s: json.dumps(shlex.quote(s)),
    "shell, escaped quote": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "shell, each escaped": lambda s: "".join(c if c.isalnum() or ord(c) > 127 else f"\\{c}" for c in s),
    "SQL": lambda s: "'" + s.replace("'", "''") + "'",
    "ODBC": lambda s: "{" + s.replace("}", "}}") + "}",
    "CSV": lambda s: _csv(s),
    "octal": lambda s: "".join(chr(o) if chr(o).isalnum() and o < 128 else f"\\{o:03o}" for o in s.encode()),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 in JSON in a URL": lambda s: quote(json.dumps(base64.b64encode(s.encode()).decode())),
    "Basic auth, 1": basic("me"),
    "Basic auth, 2": basic("you"),
    "Basic auth, 3": basic("them"),
    "Basic auth, form-encoded": lambda s: basic("them")(quote_plus(s)),
    "base64 amid others": lambda s: base64.b64encode(f'{{"user": "me", "p": "{s}"}}'.encode()).decode(),
    "base64 of JSON": lambda s: base64.b64encode(json.dumps({"p": s}).encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
}


def _csv(text: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([text, "x"])
    return file.getvalue().rstrip("\r\n")


SPECIAL = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n\t\u00e9\u20ac\U0001f600"
SECRETS = st.text(
    st.one_of(st.sampled_from(SPECIAL + "abcXYZ0189"), st.characters(exclude_categories=["Cs"])), min_size=6
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=30)
@given(secret=SECRETS)
@example(secret="p@ss\"w\\ord'%+/é")
@example(secret="correct horse battery")
@example(secret="\\\\\"'\"'\\x")
@example(secret="пароль на все")
@example(secret="hunter2\U0001f600\x00\x7f")
@example(secret="}}{{}}ab")
@example(secret="00000Ã")
@example(secret="-----BEGIN-----\nMIIEvQ+/IBADAN==\n-----END-----\n")
def test_a_secret_is_masked_in_every_spelling(spelling: str, secret: str) -> None:
    if len(secret.strip()) < 6:
        return
    spelt = SPELLINGS[spelling](secret)
    if spelling == "URL of Latin-1" and not all(ord(character) < 256 for character in secret):
        return
    before, after = "2026-11-25 ERROR failed with [", "] at port 5432"
    line = f"{before}{spelt}{after}"
    masked = mask(line, {secret})
    assert "***" in masked, (line, masked)
    assert masked.startswith(before)
    assert masked.endswith(after)
    rest = masked.removeprefix(before).removesuffix(after).replace("***", "")
    if spelling in NOTHING_ELSE:
        assert not any(character.isalnum() for character in rest), (line, masked)


# Those in which nothing else stands, but quotes.
NOTHING_ELSE = {
    "as it is",
    "JSON",
    "JSON in ASCII",
    "JSON with escaped slashes",
    "repr",
    "ascii",
    "unicode_escape",
}
NOTHING_ELSE |= {"URL", "URL, all quoted", "URL, lower case", "form", "URL in URL", "HTML", "HTML in HTML"}
NOTHING_ELSE |= {
    "HTML in ASCII",
    "XML attribute",
    "shell",
    "shell, escaped quote",
    "shell, each escaped",
    "SQL",
}
NOTHING_ELSE |= {"ODBC", "octal", "base64", "base64 without padding", "base64 for URLs", "hex", "HEX"}


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@settings(max_examples=20)
@given(secret=st.binary(min_size=6, max_size=50).map(lambda data: data.decode("latin-1")))
def test_no_digit_of_base64_that_depends_on_a_secret_is_left(
    before: int, encode: Callable[[bytes], bytes], secret: str
) -> None:
    if len(secret.strip()) < 4:
        return
    data = secret.encode()
    text = encode(b"u" * before + data + b"v" * 3).decode()
    masked = mask(text, {secret})
    first, rest = masked.split("***")
    assert len(first) <= before * 8 // 6
    assert len(rest) <= 6


def test_what_a_shell_prints_is_masked() -> None:
    secret = 'it\'s "p@$$" \\ wörd\tx'
    script = 'printf "%q\\n" "$1"; set -x; : "$1"; declare -p 1 2>&1; x=$1; declare -p x'
    said = subprocess.run(
        ["bash", "-c", script, "-", secret], capture_output=True, check=True, encoding="utf-8"
    )
    for line in (said.stdout + said.stderr).splitlines():
        if "rd" in line:
            assert "***" in mask(line, {secret})
            assert "p@" not in mask(line, {secret})


@pytest.mark.parametrize("value", [123456, 12345678901234567890, 1234.5678, -98765])
def test_numbers_are_masked_too_and_in_base64(value: Any) -> None:
    secrets = find_secrets({"password": value})
    assert secrets == {str(value)}
    for text in (f"is {value}.", basic("me")(str(value)), base64.b64encode(str(value).encode()).decode()):
        assert str(value) not in mask(text, secrets)
        assert "***" in mask(text, secrets)


def test_truth_is_no_secret() -> None:
    assert find_secrets({"password": True, "token": None}) == frozenset()


KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN+/xyzxyz\nqrstQRST/+==\nab==\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("stored", [KEY, KEY.replace("\n", "\\n"), KEY.replace("\n", "\r\n")])
def test_a_private_key_is_masked_line_by_line_and_as_a_whole(stored: str) -> None:
    secrets = find_secrets({"private_key": stored})
    for spell in SPELLINGS.values():
        for line in KEY.splitlines():
            if len(line) >= 6:
                assert "***" in mask(spell(line), secrets)
    for shown in (
        KEY,
        repr(KEY),
        json.dumps({"a": KEY}),
        json.dumps(json.dumps({"a": KEY})),
        json.dumps(stored),
    ):
        masked = mask(shown, secrets)
        assert not any(piece in masked for piece in ("MIIEv", "xyz", "qrst", "RST", "ab=="))
    encoded = mask(base64.b64encode(json.dumps({"type": "x", "private_key": KEY}).encode()).decode(), secrets)
    assert "MIIEvQIB" not in base64.b64decode(encoded.split("***")[0]).decode("latin-1")


def test_ordinary_words_are_not_masked() -> None:
    secrets = {"abc", "a", "    ", "!!!!", "p@ss w0rd", "data-base/key+1", "1234"}
    words = (
        "abc a, a database key: pass word p@ss 123 data base = 1.234 hello! wow!!! (a/b+c) {} [] '' \"\" \\\\"
    )
    assert mask(words, secrets) == words


def test_masking_a_long_log_takes_seconds_and_no_line_takes_long() -> None:
    secrets = frozenset(f"p{number}@ss'w0rd/{number * 7919}" for number in range(20))
    line = "INFO tap-x Request to https://127.0.0.1/repos/x/issues?page=12 took 0.2 s, 200 OK"
    started = time.process_time()
    for _ in range(20_000):
        mask(line, secrets)
    assert time.process_time() - started < 4  # measured: 0.2
    started = time.process_time()
    for hostile in ("\\" * 20_000, "'\"\\" * 7_000, "p1" + "%25" * 7_000, "&amp;" * 4_000, "cDE" * 7_000):
        mask(hostile + "p1" + hostile, secrets | {"'\"'\"'\"p1", "\\\\\\\\p1", "p1%%%%&&&&", "'\n'\n'\np1"})
    assert time.process_time() - started < 20


# ------------------------------------------------------------------------------- what counts as a secret


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "token",
        "api_key",
        "apiKey",
        "APIKey",
        "clientSecret",
        "client_secret",
        "DBPassword",
        "dbpassword",
        "x-api-key",
        "auth_tokens",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "AccountKey",
        "SharedAccessSignature",
        "private_key_pem",
        "jwt",
        "credentials_json",
        "service.private_key",
        "webhook_url",
        "aws_secret_access_key",
        "passwd",
        "pwd",
        "passphrase",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "replication_key",
        "primary_keys",
        "monkey",
        "author",
        "max_tokens",
        "compass",
        "token_url",
        "key_properties",
        "bypass",
        "design",
        "authority",
        "keyboard",
        "spin",
    ],
)
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not looks_secret(name)


ACCOUNT = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key": KEY,
    "private_key_id": "0a1b2c3d",
}

HIDDEN: dict[str, tuple[Any, set[str]]] = {
    "in a header": ({"headers": {"Authorization": "Bearer abcd.efgh"}}, {"abcd.efgh"}),
    "in a header, other scheme": ({"headers": {"authorization": "token ghp_12345"}}, {"ghp_12345"}),
    "in a header of Basic auth": (
        {"headers": {"Authorization": "Basic " + basic("me")("p@ss:word")}},
        {"p@ss:word", basic("me")("p@ss:word")},
    ),
    "in a list": ({"api_tokens": ["abcd1", {"x": "abcd2"}, ("abcd3",)]}, {"abcd1", "abcd2", "abcd3"}),
    "in bytes": ({"password": b"abcd\xff"}, {"abcd\u00ff"}),
    "in a URL": ({"url": "postgres://me:hunter2@host/db"}, {"hunter2"}),
    "in a URL, quoted": ({"url": "postgres://me:p%40ss%2F@host/db"}, {"p%40ss%2F", "p@ss/"}),
    "in a URL, not quoted": ({"url": "postgres://me:p@ss/word@host/db"}, {"p@ss/word"}),
    "in a URL, as the user": (
        {"url": "https://ghp_abcdefghij0123456789@host/x"},
        {"ghp_abcdefghij0123456789"},
    ),
    "in a query": ({"url": "https://host/x?a=1&password=p%40ss1&sig=abc%2Bd"}, {"p@ss1", "abc+d", "p%40ss1"}),
    "in a fragment": ({"url": "https://host/x#access_token=abcd1234"}, {"abcd1234"}),
    "for ODBC": ({"dsn_less": "Driver={x};Server=h;Uid=me;Pwd={a;}}b c};"}, {"a;}b c", "{a;}}b c}"}),
    "for ADO": ({"conn": "Server=h;User Id=me;Password=hunter2;Timeout=10"}, {"hunter2"}),
    "for Azure": ({"conn": "DefaultEndpointsProtocol=https;AccountKey=abcd/+1234==;X=y"}, {"abcd/+1234=="}),
    "for libpq": ({"conn": "host=h password='it\\'s me' dbname=x"}, {"it's me"}),
    "for JDBC": ({"url": "jdbc:sqlserver://h:1433;databaseName=x;user=me;password=hunter2"}, {"hunter2"}),
    "in JSON as text": ({"credentials_json": json.dumps(ACCOUNT)}, {KEY, "0a1b2c3d", "MIIEvQIBADAN+/xyzxyz"}),
    "in JSON as text, of any setting": ({"extra": '{"login": {"password": "hunter2"}}'}, {"hunter2"}),
    "in a JSON list as text": ({"auth_tokens": '["abcd1", "abcd2"]'}, {"abcd1", "abcd2"}),
    "in JSON in base64": (
        {"credentials_base64": base64.b64encode(json.dumps(ACCOUNT).encode()).decode()},
        {KEY, "0a1b2c3d"},
    ),
    "in a cookie": ({"headers": {"Cookie": "session_token=abcd1234; lang=en"}}, {"abcd1234"}),
    "in deep JSON": ({"a": json.dumps({"b": json.dumps({"token": "abcd1234"})})}, {"abcd1234"}),
}


@pytest.mark.parametrize(("config", "secrets"), HIDDEN.values(), ids=HIDDEN)
def test_secrets_are_found_where_they_hide(config: dict[str, Any], secrets: set[str]) -> None:
    assert secrets <= find_secrets(config)


OPEN: dict[str, tuple[Any, set[str]]] = {
    "in JSON as text": ({"credentials_json": json.dumps(ACCOUNT)}, {"my-project", "service_account"}),
    "in a URL": ({"url": "https://me@host:8080/path?q=words"}, {"me", "words", "host", "path"}),
    "in a sentence": ({"query": "SELECT a FROM t WHERE name = 'word' AND x=12345"}, {"word", "12345"}),
    "in a header": ({"headers": {"Accept": "application/json", "User-Agent": "tap"}}, {"application/json"}),
}


@pytest.mark.parametrize(("config", "words"), OPEN.values(), ids=OPEN)
def test_what_is_no_secret_is_not_found(config: dict[str, Any], words: set[str]) -> None:
    assert not words & find_secrets(config)


def test_a_sensitive_setting_is_secret_whatever_its_name() -> None:
    config = {"plain": "abcd", "deep": {"x": {"y": ["efgh"]}}, "other": "ijkl"}
    assert find_secrets(config, {"plain", "deep.x"}) == {"abcd", "efgh"}


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    )
)
def test_no_configuration_stops_the_search(value: Any) -> None:
    secrets = find_secrets({"password": value, "url": value})
    assert isinstance(mask(repr(value), secrets), str)
    assert isinstance(mask(str(value), {"\ud800abc", "abc\udcff"}), str)
