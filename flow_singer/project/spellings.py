"""How a text reads after programs have quoted, escaped or encoded it: patterns that know it in each spelling.

Nobody knows which spelling a plugin prints: JSON within JSON, `repr`, a quoted URL, a header of Basic auth. All
of them leave ASCII letters and digits as they are and replace the rest, each character in a way of its own. A
pattern therefore allows, for every character, what any of them makes of it; so mixed spellings are known, too.
Encodings that replace everything, base64 and hex, get patterns of their own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, quote_plus

_RUNS = re.compile(r"[A-Za-z0-9]+|['\"\\]+|(.)\1*", re.DOTALL)
_SHORT_ESCAPES = dict(zip("\a\b\t\n\v\f\r\x1b\0", "abtnvfre0", strict=True))
_DOUBLED = "{}%$"  # in ODBC, format strings, make; quotes are, too
_NAMED_ENTITIES = {'"': "quot", "'": "apos", "&": "amp", "<": "lt", ">": "gt"}
_URL_SAFE = {"+": "-", "/": "_"}  # of base64: RFC 4648, section 5
_BASE64_DIGIT = "[A-Za-z0-9+/_-]"
_ENCODED_LENGTH = 6  # of base64, 36 bits: fewer digits may stand in any line by chance


@dataclass(frozen=True)
class Spelling:
    """A pattern, compiled when it is first needed.

    Attributes:
        anchor: stands in every text that the pattern matches.
        expression: the pattern's source.
    """

    anchor: str
    expression: str = field(repr=False)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What matches the spelt text."""
        return re.compile(self.expression)


class Spellings:
    """Several texts in each of their spellings.

    Most lines of a log hold none of them, and are passed by after one search for the beginnings of all anchors.

    Args:
        texts: each of 4 characters at least, for a shorter one would be found in everything; where one begins
            with another, the longer must come first.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._spellings = [spelling for text in texts for spelling in spellings(text)]
        self._beginnings = re.compile(_any_of({one.anchor[:_BEGINNING] for one in self._spellings}))

    def replace(self, text: str, by: str) -> str:
        """Replace all of them in `text`."""
        if not self._spellings or not self._beginnings.search(text):
            return text
        for spelling in self._spellings:
            if spelling.anchor in text:
                text = spelling.pattern.sub(by, text)
        return text


_BEGINNING = 5  # characters: enough that few lines have one by chance


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern that looks at no character twice, unlike `|`, which tries one word after the other."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words):
        if not word:
            return ""
        rests.setdefault(word[0], []).append(word[1:])
    return f"(?:{'|'.join(re.escape(first) + _any_of(rest) for first, rest in rests.items())})"


def spellings(text: str) -> Iterator[Spelling]:
    """Yield patterns that together match `text` in every usual spelling.

    Known are JSON with and without ASCII only, `repr` of str and bytes, escapes of C, JavaScript and shells,
    quotes of shells, SQL, YAML, CSV and ODBC, URLs (quote, quote_plus), HTML and XML, each of these also
    several times over; base64 of both alphabets, wherever in the encoded bytes the text begins; hex.
    """
    yield Spelling(_longest_word(text), _escaped(text))
    for data in _encoded_forms(text):
        yield from _base64(data)
        for digits in (data.hex(), data.hex().upper()):
            yield Spelling(digits, digits)


def _longest_word(text: str) -> str:
    return max(re.findall("[A-Za-z0-9]+", text), key=len, default="")


def _escaped(text: str, twins: dict[str, str] | None = None) -> str:
    """Return the pattern of a text; a character that has a twin may be that as well."""
    parts = []
    for run in _RUNS.finditer(text):
        piece = run[0]
        if piece.isascii() and piece.isalnum():
            parts.append(piece)
            continue
        characters = dict.fromkeys(piece)
        if characters.keys() <= set("'\"\\"):
            # Shells write ' as '"'"' or '\'', JSON puts backslashes before each of these and of those.
            characters = dict.fromkeys("'\"\\")
        elif twins and piece[0] in twins:
            characters[twins[piece[0]]] = None
        # A longer run is one in which each was doubled, or escaped. Every repetition has an end (four levels of
        # JSON), for the time it takes must not be the square of a line's length.
        longest = len(piece) * (16 if "'" in characters else 2 if piece[0] in _DOUBLED else 1)
        ways = "|".join(way for character in characters for way in _ways(character))
        parts.append(f"(?:{ways}){{{len(piece)},{longest}}}")
    return "".join(parts)


def _ways(character: str) -> Iterator[str]:
    """Yield patterns of what one character that is no ASCII letter or digit may become."""
    code = ord(character)
    # Where backslashes belong to the run, one of them begins an escape, lest a text be read in many ways.
    any_before, some_before = ("", r"\\") if character in "'\"\\" else (r"\\{0,16}", r"\\{1,16}")
    if code > 0x7F:  # before Latin-1: Ã is the first octet of other letters
        octets = character.encode("utf-8", "surrogatepass")
        yield "".join(f"%(?:25){{0,4}}{_hex(octet, 2)}" for octet in octets)
        yield "".join(rf"\\{{1,16}}(?:[xX]{_hex(octet, 2)}|{octet:03o})" for octet in octets)
    if character == " ":
        yield r"\+"
    if character == "\n":
        yield r"\r\n"
    escapes = [f"[uUxX]0{{0,6}}{_hex(code)}", rf"[uU]\{{0{{0,6}}{_hex(code)}\}}"]
    if code < 0x100:
        escapes.append(f"{code:03o}")
        yield f"%(?:25){{0,4}}{_hex(code, 2)}"
    if code > 0xFFFF:
        high, low = divmod(code - 0x10000, 0x400)
        escapes.append(rf"[uU]{_hex(0xD800 + high)}\\{{1,16}}[uU]{_hex(0xDC00 + low)}")
    if character in _SHORT_ESCAPES:  # the last, as \\0 begins \\000
        escapes.append(_SHORT_ESCAPES[character])
    yield f"{some_before}(?:{'|'.join(escapes)})"
    name = f"{_NAMED_ENTITIES[character]}|" if character in _NAMED_ENTITIES else ""
    yield f"&(?:amp;){{0,4}}(?:{name}#0{{0,6}}{code}|#[xX]0{{0,6}}{_hex(code)});"
    yield any_before + re.escape(character)  # the last: % begins %25, & begins &amp;


def _hex(number: int, digits: int = 1) -> str:
    """Return a pattern of a number's hexadecimal digits, in capitals or not."""
    return "".join(
        f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:0{digits}x}"
    )


def _encoded_forms(text: str) -> list[bytes]:
    """Return the bytes of a text, as it is and as it stands in JSON and in a form, for all of it is encoded."""
    forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair has no form in URLs
        forms |= {quote(text, safe=""), quote_plus(text)}  # RFC 6749, section 2.3.1: before Basic auth
    data = {form.encode("utf-8", "surrogatepass") for form in forms}
    with contextlib.suppress(UnicodeEncodeError):
        data.add(text.encode("latin-1"))  # Basic auth of many HTTP clients
    return sorted(data, key=len, reverse=True)  # the end of one may be another


def _base64(data: bytes) -> Iterator[Spelling]:
    """Yield what base64 makes of `data` at the start of a text, and behind one or two other bytes.

    Three bytes become four digits. Those at either end that also depend on the bytes beside are open, and
    masked along with the rest.
    """
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = len(digits) - ((before + len(data)) % 3 > 0)
        core = digits[first:last]
        start = f"{_BASE64_DIGIT}?" if before else ""
        end = f"{_BASE64_DIGIT}?(?:{'|'.join(_ways('='))}){{0,2}}"
        if len(core) >= _ENCODED_LENGTH:
            yield Spelling(_longest_word(core), start + _escaped(core, _URL_SAFE) + end)
        elif before == 0:  # by itself it is long enough
            whole = _escaped(digits, _URL_SAFE)
            yield Spelling(_longest_word(digits), f"(?<!{_BASE64_DIGIT}){whole}(?!{_BASE64_DIGIT}){end}")
