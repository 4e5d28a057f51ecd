"""A document, and what became of some that were added."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple


class Document:
    """What an index holds: a text, the id that it is known by, and other fields."""

    __slots__ = ("id", "metadata", "text")

    def __init__(self, id: str, text: str, metadata: Optional[Dict[str, Any]] = None) -> None:
        self.id = id
        self.text = text
        self.metadata: Dict[str, Any] = {} if metadata is None else metadata

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        return (self.id, self.text, self.metadata) == (other.id, other.text, other.metadata)

    __hash__ = None  # type: ignore[assignment] # its fields may change

    def __repr__(self) -> str:
        return f"Document(id={self.id!r}, text={self.text!r}, metadata={self.metadata!r})"


class Report(NamedTuple):
    """What a call of :meth:`Index.add` did."""

    added: int
    """Documents whose id was new."""
    replaced: int
    """Documents that took the place of one with the same id."""
    unchanged: int
    """Documents that were there already as they are."""
    removed: int
    """Documents that their file or folder no longer has."""
    skipped: List[Tuple[str, str]]
    """Files of which no document could be made, with the reason."""
