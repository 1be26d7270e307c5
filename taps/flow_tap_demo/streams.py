"""The four streams: their schemas, and the values their records are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from flow_tap_demo import awkward
from flow_tap_demo.generator import ABSENT, Clock, Counter, Cycle, Draw, Field

REPOSITORY_ID: Final = 100_000
USER_ID: Final = 500_000
ISSUE_ID: Final = 3_000_000_000
"""Past 32 bits, as GitHub's own ids are."""

AUTHORS: Final = 100
HOSTS: Final = 10
"""Issues and events only name the first users and repositories, which are always there: joins find all."""

WORDS: Final = (
    "parser",
    "cache",
    "socket",
    "token",
    "schema",
    "stream",
    "record",
    "bookmark",
    "naïve",
    "café",
    "Ωmega",
    "тест",
    "数据",
    "データ",
    "façade",
    "🚀",
    "\U0001d4b3",
    "𠮷",
    "upload",
    "timeout",
    "retry",
    "header",
    "column",
    "index",
    "queue",
    "thread",
    "memory",
    "branch",
    "merge",
    "release",
    "login",
    "avatar",
)
ENDINGS: Final = (
    'Expected "ok", got "".',
    "See C:\\temp\\new.log.\nThen it hangs.",
    "Tabs\tand \\n in text; 100 % of runs.",
    "🎉 Merci, Zoë — 完了。",
    "It's fine since v1.10.",
)
LANGUAGES: Final = ("Python", "Rust", "Go", "C++", "TypeScript", None)
LICENCES: Final = ({"key": "mit", "name": "MIT License"}, {"key": "apache-2.0", "name": "Apache 2.0"}, None)
LABELS: Final = ("bug", "enhancement", "help wanted", "docs", "good first issue", "priorité", "日本語")
NAMES: Final = (
    "Zoë Müller",
    "Иван Петров",
    "山田 太郎",
    "Ada O'Neil",
    'Max "Moritz"',
    "𠮷野 家",
    "Nur 😀",
    "علي",
)
OFFSETS: Final = ("Z", "Z", "Z", "+02:00", "-03:30", "+05:45")


def _nullable(type_: str, **keywords: Any) -> dict[str, Any]:
    return {"type": [type_, "null"], **keywords}


def _record(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _text(draw: Draw, words: int) -> str:
    return " ".join(draw.pick(WORDS) for _ in range(words))


def _date_time(draw: Draw) -> datetime:
    return datetime(2015, 1, 1) + timedelta(seconds=draw.below(4 * 365 * 86_400))


def _written(moment: datetime, draw: Draw) -> str:
    """The moment as a source would write it: some with microseconds, some with an offset."""
    if draw.chance(0.3):
        moment = moment.replace(microsecond=draw.below(1_000_000))
    return moment.isoformat() + draw.pick(OFFSETS)


def _date(draw: Draw) -> str:
    return _date_time(draw).date().isoformat()


def _user(draw: Draw) -> dict[str, Any]:
    # The square makes some authors much busier than others.
    number = int(draw.unit() ** 2 * AUTHORS)
    return {"id": USER_ID + number, "login": f"dev-{number}", "site_admin": number % 17 == 0}


def _host(draw: Draw) -> int:
    return REPOSITORY_ID + draw.below(HOSTS)


def _money(draw: Draw) -> Decimal:
    """A number of cents that also passes `multipleOf: 0.01` in validators that divide floats."""
    while True:
        cents = draw.below(1_000_000)
        if (quotient := cents / 100 / 0.01) == int(quotient):
            return Decimal(cents).scaleb(-2)


def _maybe(draw: Draw, value: Any, null: float, absent: float = 0.0) -> Any:
    chance = draw.unit()
    return None if chance < null else ABSENT if chance < null + absent else value


REPOSITORIES_SCHEMA: Final = _record(
    {
        "id": {"type": "integer"},
        "full_name": {"type": "string"},
        "private": {"type": "boolean"},
        "description": _nullable("string"),
        "language": _nullable("string", enum=[*LANGUAGES]),
        "size_bytes": _nullable("integer"),
        "score": _nullable("number"),
        "monthly_cost": _nullable("string", format="singer.decimal"),
        "topics": {"type": "array", "items": {"type": "string"}},
        "license": _nullable("object", properties={"key": _nullable("string"), "name": _nullable("string")}),
        "created_at": _nullable("string", format="date-time"),
        "updated_at": {"type": "string", "format": "date-time"},
    },
    "id",
    "full_name",
)


def _repositories(seed: int, hard: bool) -> list[Field]:
    draw = Draw(seed, "repositories")
    return [
        Counter("id", REPOSITORY_ID),
        Counter("full_name", 0, '"octo-org/repo-%d"'),
        Cycle("private", (number % 3 == 0 for number in range(7))),
        Cycle(
            "description",
            draw.pool(53, lambda d: _maybe(d, _text(d, 6), 0.2, 0.1), awkward.values("text", hard)),
        ),
        Cycle("language", draw.pool(47, lambda d: d.pick(LANGUAGES))),
        Cycle(
            "size_bytes",
            draw.pool(43, lambda d: _maybe(d, d.below(2**40), 0.1), awkward.values("integer", hard)),
        ),
        Cycle("score", draw.pool(41, lambda d: _maybe(d, d.unit() * 10, 0.1), awkward.values("float", hard))),
        Cycle(
            "monthly_cost",
            draw.pool(37, lambda d: _maybe(d, str(_money(d)), 0.1), awkward.values("decimal_text", hard)),
        ),
        Cycle("topics", draw.pool(31, lambda d: [d.pick(WORDS) for _ in range(d.below(4))])),
        Cycle("license", draw.pool(29, lambda d: _maybe(d, d.pick(LICENCES), 0.0, 0.2))),
        Cycle(
            "created_at",
            draw.pool(23, lambda d: _written(_date_time(d), d), awkward.values("date_time", hard)),
        ),
        Clock("updated_at", 7200, draw),
    ]


USERS_SCHEMA: Final = _record(
    {
        "id": {"type": "integer"},
        "login": {"type": "string"},
        "name": _nullable("string"),
        "email": _nullable("string"),
        "site_admin": {"type": "boolean"},
        "followers": _nullable("integer"),
        "balance": _nullable("string", format="singer.decimal"),
        "hired_on": _nullable("string", format="date"),
        "created_at": _nullable("string", format="date-time"),
        "updated_at": {"type": "string", "format": "date-time"},
    },
    "id",
    "login",
    "updated_at",
)


def _users(seed: int, hard: bool) -> list[Field]:
    draw = Draw(seed, "users")
    return [
        Counter("id", USER_ID),
        Counter("login", 0, '"dev-%d"'),
        Cycle("name", draw.pool(101, lambda d: _maybe(d, d.pick(NAMES), 0.1), awkward.values("text", hard))),
        Cycle("email", draw.pool(97, lambda d: _maybe(d, f"{d.pick(WORDS[:8])}@example.org", 0.2, 0.2))),
        Cycle("site_admin", (number == 0 for number in range(17))),
        Cycle("followers", draw.pool(89, lambda d: _maybe(d, d.below(50_000), 0.1))),
        Cycle(
            "balance",
            draw.pool(83, lambda d: _maybe(d, str(_money(d)), 0.1), awkward.values("decimal_text", hard)),
        ),
        Cycle("hired_on", draw.pool(79, lambda d: _maybe(d, _date(d), 0.2), awkward.values("date", hard))),
        Cycle(
            "created_at",
            draw.pool(73, lambda d: _written(_date_time(d), d), awkward.values("date_time", hard)),
        ),
        Clock("updated_at", 200, draw),
    ]


ISSUES_SCHEMA: Final = _record(
    {
        "id": {"type": "integer"},
        "repository_id": {"type": "integer"},
        "title": {"type": "string"},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "locked": {"type": "boolean"},
        "user": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "login": {"type": "string"},
                "site_admin": {"type": "boolean"},
            },
        },
        "labels": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "color": _nullable("string")},
            },
        },
        "milestone": _nullable(
            "object",
            properties={
                "number": {"type": "integer"},
                "title": {"type": "string"},
                "due_on": _nullable("string", format="date"),
            },
        ),
        "fingerprint": _nullable("integer"),
        "reward": _nullable("number", multipleOf=0.01),
        "created_at": {"type": "string", "format": "date-time"},
        "closed_at": _nullable("string", format="date-time"),
        "updated_at": {"type": "string", "format": "date-time"},
        "body": _nullable("string"),
    },
    "id",
    "title",
    "state",
    "updated_at",
)


def _label(draw: Draw) -> dict[str, Any]:
    return {"name": draw.pick(LABELS), "color": _maybe(draw, f"{draw.below(2**24):06x}", 0.1)}


def _milestone(draw: Draw) -> dict[str, Any]:
    number = 1 + draw.below(40)
    return {"number": number, "title": f"v{number / 10:.1f}", "due_on": _maybe(draw, _date(draw), 0.3)}


def _life(draw: Draw) -> tuple[str, str, str | None]:
    """State, created_at and closed_at that agree with each other."""
    created = _date_time(draw)
    if draw.chance(0.5):
        return "open", _written(created, draw), None
    closed = created + timedelta(days=2 + draw.below(360))
    return "closed", _written(created, draw), _written(closed, draw)


def _body(draw: Draw) -> str:
    return f"{_text(draw, 1 + draw.below(4))}. {draw.pick(ENDINGS)}"


def _issues(seed: int, hard: bool) -> list[Field]:
    draw = Draw(seed, "issues")
    open_since = [("open", moment, None) for moment in awkward.values("date_time", hard)]
    lives: list[tuple[str, str, str | None]] = draw.pool(991, _life, open_since)
    return [
        Counter("id", ISSUE_ID),
        Cycle("repository_id", draw.pool(97, _host)),
        Cycle("title", draw.pool(997, lambda d: _text(d, 3).capitalize(), awkward.values("text", hard))),
        Cycle("state", (state for state, _, _ in lives)),
        Cycle("locked", (number == 3 for number in range(13))),
        Cycle("user", draw.pool(983, _user)),
        Cycle("labels", draw.pool(499, lambda d: [_label(d) for _ in range(d.below(3))])),
        Cycle("milestone", draw.pool(251, lambda d: _maybe(d, _milestone(d), 0.3, 0.3))),
        Cycle(
            "fingerprint",
            draw.pool(
                1013,
                lambda d: _maybe(d, 2**53 + 1 + d.below(2**53) * 1000, 0.05),
                awkward.values("integer", hard),
            ),
        ),
        Cycle(
            "reward", draw.pool(503, lambda d: _maybe(d, _money(d), 0.2, 0.1), awkward.values("money", hard))
        ),
        Cycle("created_at", (created for _, created, _ in lives)),
        Cycle("closed_at", (closed for _, _, closed in lives)),
        Clock("updated_at", 20, draw),
        Cycle("body", draw.pool(1009, lambda d: _maybe(d, _body(d), 0.1), awkward.values("long_text", hard))),
    ]


EVENTS_SCHEMA: Final = _record(
    {
        "id": {"type": "string"},
        "type": {"type": "string", "enum": ["Create", "Issues", "Push", "Watch", "Gollum"]},
        "public": {"type": "boolean"},
        "actor": {"type": "object", "properties": {"id": {"type": "integer"}, "login": {"type": "string"}}},
        "repository_id": {"type": "integer"},
        # No properties: the shape depends on the type, as in GitHub's API.
        "payload": _nullable("object"),
        "updated_at": {"type": "string", "format": "date-time"},
    },
    "id",
    "type",
    "updated_at",
)


def _commit(draw: Draw) -> dict[str, Any]:
    return {"sha": f"{draw.below(2**52):040x}", "message": _body(draw), "distinct": draw.chance(0.9)}


def _event(draw: Draw) -> tuple[str, Any]:
    """Type and payload of an event."""
    type_ = draw.pick(("Create", "Issues", "Issues", "Push", "Push", "Watch", "Gollum"))
    if type_ == "Create":
        return type_, {"ref": draw.pick((None, "main", "naïve/ branch")), "ref_type": "branch"}
    if type_ == "Issues":
        issue = {"id": ISSUE_ID + draw.below(10), "milestone": _maybe(draw, _milestone(draw), 0.5)}
        return type_, {"action": draw.pick(("opened", "closed")), "issue": issue}
    if type_ == "Push":
        commits = [_commit(draw) for _ in range(draw.below(3))]
        return type_, {"push_id": 2**53 + 1 + draw.below(2**53), "size": len(commits), "commits": commits}
    return type_, {} if type_ == "Watch" else draw.pick((None, ABSENT))


def _events(seed: int, hard: bool) -> list[Field]:
    draw = Draw(seed, "events")
    events = draw.pool(1009, _event, [("Gollum", payload) for payload in awkward.values("object", hard)])
    actors = draw.pool(499, _user)
    return [
        Counter("id", 40_000_000_000, '"%d"'),
        Cycle("type", (type_ for type_, _ in events)),
        Cycle("public", (number != 5 for number in range(11))),
        Cycle("actor", ({"id": actor["id"], "login": actor["login"]} for actor in actors)),
        Cycle("repository_id", draw.pool(97, _host)),
        Cycle("payload", (payload for _, payload in events)),
        Clock("updated_at", 10, draw),
    ]


@dataclass(frozen=True)
class StreamDefinition:
    """A stream: what its catalog entry says, how many records it has, and how they are made.

    Args:
        schema: JSON Schema of its records.
        count: number of its records, given the setting `records`.
        fields: the properties of its records, given the seed and whether awkward values are wanted.
        replication_key: `updated_at` for incremental streams.
    """

    name: str
    schema: dict[str, Any]
    count: Callable[[int], int]
    fields: Callable[[int, bool], list[Field]]
    replication_key: str | None = "updated_at"


DEFINITIONS: Final = (
    StreamDefinition(
        "repositories", REPOSITORIES_SCHEMA, lambda n: max(HOSTS, n // 1000), _repositories, None
    ),
    StreamDefinition("users", USERS_SCHEMA, lambda n: max(AUTHORS, n // 10), _users),
    StreamDefinition("issues", ISSUES_SCHEMA, lambda n: n, _issues),
    StreamDefinition("events", EVENTS_SCHEMA, lambda n: 2 * n, _events),
)
