"""Filters, built of Python's own operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Union

if TYPE_CHECKING:
    from datetime import date, datetime

    Value = Union[str, int, float, bool, date, datetime]


class Filter:
    """Which documents a search may find: an expression about their metadata.

    Filters are made by :func:`field`, and joined by ``&``, ``|`` and ``~``. ``str(filter)`` is the expression as ``akin query
    --filter`` takes it.

    >>> str((field("year") >= 1990) & ~field("tags").isin(["draft", "to do"]))
    '("year" >= 1990 and not "tags" in ("draft", "to do"))'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """An expression as ``akin query --filter`` takes it."""
        self._text = text

    def __and__(self, other: Filter) -> Filter:
        return Filter(f"({self} and {other})")

    def __or__(self, other: Filter) -> Filter:
        return Filter(f"({self} or {other})")

    def __invert__(self) -> Filter:
        return Filter(f"not {self}")

    def __bool__(self) -> bool:
        raise TypeError(
            "a filter is neither true nor false: join filters by & and |, not by `and` and `or`, and compare a field once, "
            "not as in 1 < field < 3"
        )

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Filter({self._text!r})"


class field:  # noqa: N801 - it reads as a function
    """A field of the metadata, to compare.

    >>> str(field("part") == "noun")
    '"part" = "noun"'
    >>> str(field("author.born") < 1900)
    '"author.born" < 1900'
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        """A field by its name; ``author.name`` is a field of an object."""
        self._name = name

    def _compare(self, sign: str, value: Value) -> Filter:
        return Filter(f"{_quoted(self._name)} {sign} {_literal(value)}")

    def __eq__(self, value: Value) -> Filter:  # type: ignore[override]
        return self._compare("=", value)

    def __ne__(self, value: Value) -> Filter:  # type: ignore[override]
        return self._compare("!=", value)

    def __lt__(self, value: Value) -> Filter:
        return self._compare("<", value)

    def __le__(self, value: Value) -> Filter:
        return self._compare("<=", value)

    def __gt__(self, value: Value) -> Filter:
        return self._compare(">", value)

    def __ge__(self, value: Value) -> Filter:
        return self._compare(">=", value)

    def isin(self, values: Iterable[Value]) -> Filter:
        """Fits a document whose field is one of the values, or a list that has one of them."""
        listed = ", ".join(_literal(value) for value in values)
        if not listed:
            raise ValueError("a field is one of some values, and none were given")
        return Filter(f"{_quoted(self._name)} in ({listed})")

    def between(self, least: Value, most: Value) -> Filter:
        """Fits a document whose field is from ``least`` to ``most``, both of them included."""
        return (self >= least) & (self <= most)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"field({self._name!r})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    given: Any = value
    if hasattr(given, "isoformat"):
        return str(given.isoformat())
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)) or hasattr(value, "__float__"):
        return repr(float(value)) if isinstance(value, float) else str(value)
    raise TypeError(
        f"a field is compared with a str, a number, a bool or a date, and not with a {type(value).__name__}"
    )


def text_of(filter: Union[str, Filter, None]) -> Union[str, None]:
    """A filter as the native half takes it."""
    if filter is None or isinstance(filter, str):
        return filter
    if isinstance(filter, Filter):
        return str(filter)
    raise TypeError(f"a filter is a str or made by akin.field, and not a {type(filter).__name__}")
