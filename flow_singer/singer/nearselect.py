"""Names of streams and properties that are like one that is not found, written as select rules write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def near(name: str, names: Mapping[str, str], *, n: int = 2, cutoff: float = 0.6) -> list[str]:
    """Return the values whose keys look like `name`, whatever their case, the nearest first.

    Args:
        name: as it was written.
        names: what there is -> how to write it.
        n: how many at most.
        cutoff: how alike they must be, from 0 to 1.
    """
    from difflib import get_close_matches

    folded = {key.casefold(): value for key, value in names.items()}
    found = get_close_matches(name.casefold(), folded, n=n, cutoff=cutoff)
    return list(dict.fromkeys(folded[one] for one in found))


def did_you_mean(names: Sequence[str]) -> str:
    """Return ` Did you mean a or b?`, nothing where there is no name."""
    return f" Did you mean {' or '.join(names)}?" if names else ""


def escaped(name: str) -> str:
    r"""Write a name as one part of a rule: `db.orders` is `db\.orders`."""
    return name.replace(".", "\\.")


def near_streams(written: str, ids: Mapping[str, str]) -> list[str]:
    """Return the streams that a rule may have meant.

    Args:
        written: the rule without `!`, its escapes removed.
        ids: ids and names of the streams -> id.
    """
    # `db.orders.id` for the stream `db.orders` lacks a backslash: the rest of the rule tells nothing then.
    unescaped = [id_ for id_ in ids.values() if "." in id_ and f"{written}.".startswith(f"{id_}.")]
    if unescaped:
        return [escaped(max(unescaped, key=len))]
    known = {name: escaped(id_) for name, id_ in ids.items()}
    return near(written.partition(".")[0], known) or near(written, known)


def near_properties(path: Sequence[str], known: Iterable[Sequence[str]]) -> list[str]:
    """Return the properties that a rule may have meant, as dotted paths.

    Args:
        path: names from the top to the property.
        known: the like of all that there are.
    """
    names = {".".join(one): ".".join(map(escaped, one)) for one in known}
    return near(".".join(path), names)
