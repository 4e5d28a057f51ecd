"""How an index is searched: the options of a search, checked, as the native half takes them."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from ._encoder import CrossEncoder, SentenceEncoder
from ._filter import Filter, text_of
from .errors import InvalidArgument

NOTHING = (None, None, None, False, 0, None, False, 1, (), (), (), None)
"""What a search is given that is given nothing but a query and ``k``."""

_PLAIN: Dict[str, Any] = {
    "mode": None,
    "filter": None,
    "ef": None,
    "exact": False,
    "offset": 0,
    "min_score": None,
    "diverse": False,
    "passages": 1,
    "facets": (),
    "like": (),
    "unlike": (),
    "depth": 50,
    "weight": None,
}


def of_names(k: int, options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of a search that were given by their names."""
    unknown = set(options) - set(_PLAIN)
    if unknown:
        raise TypeError(f"there is no option {sorted(unknown)[0]!r} (there are {', '.join(sorted([*_PLAIN, 'rerank']))})")
    return of_values(k, **{**_PLAIN, **options})


def of_values(
    k: int,
    mode: Optional[str],
    filter: Union[str, Filter, None],
    ef: Optional[int],
    exact: bool,
    offset: int,
    min_score: Optional[float],
    diverse: bool,
    passages: int,
    facets: Sequence[str],
    like: Union[str, Sequence[str]],
    unlike: Union[str, Sequence[str]],
    depth: int,
    weight: Optional[float],
) -> Dict[str, Any]:
    """All options of a search."""
    for name, number in (("k", k), ("offset", offset), ("passages", passages), ("depth", depth)):
        if number < 0:
            raise InvalidArgument(f"{name} is {number}, and cannot be negative")
    if ef is not None and ef < 1:
        raise InvalidArgument(f"ef is {ef}, and at least 1")
    if weight is not None and not 0 <= weight <= 1000:
        raise InvalidArgument(f"weight is {weight}, and must be from 0 to 1000")
    return {
        "k": k,
        "mode": _whole(mode, "the mode"),
        "filter": _whole(text_of(filter), "the filter"),
        "ef": ef,
        "exact": exact,
        "offset": offset,
        "min_score": min_score,
        "diverse": diverse,
        "per_document": passages,
        "facets": [_whole(name, "a facet") for name in ([facets] if isinstance(facets, str) else facets)],
        "like": [_whole(id, "an id") for id in ids(like)],
        "unlike": [_whole(id, "an id") for id in ids(unlike)],
        "depth": depth,
        "weight": weight,
    }


def whole(texts: Sequence[Any], what: str) -> List[str]:
    """Texts, if Rust can read them."""
    return [_whole(text, what) for text in texts]


def _whole(text: Any, what: str) -> Any:
    """The text, if Rust can read it; or ``None``."""
    if text is None or (isinstance(text, str) and text.isascii()):
        return text
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, and not of type {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        mends = 'text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") mends it'
        raise InvalidArgument(f"{what} has halves of characters (surrogates), which no file can hold: {mends}") from None
    return text


def native_reranker(rerank: Union[CrossEncoder, SentenceEncoder, None], manner: Dict[str, Any]) -> Any:
    """The native half of what ranks again."""
    if rerank is None:
        if manner["weight"] is not None:
            raise InvalidArgument("weight= counts beside the search what rerank= says, and there is no rerank=")
        return None
    if not isinstance(rerank, (CrossEncoder, SentenceEncoder)):
        raise TypeError(f"rerank= is a model, as akin.CrossEncoder(name) opens it, and not of type {type(rerank).__name__}")
    return rerank._native


def require_text(manner: Dict[str, Any], rerank: Union[CrossEncoder, SentenceEncoder, None]) -> None:
    """Refuses, of a search by a vector, the options that only a text can have."""
    given = [name for name in ("mode", "diverse", "facets", "like", "unlike") if manner[name]]
    if manner["mode"] == "semantic":
        given.remove("mode")
    if manner["per_document"] > 1:
        given.append("passages")
    if rerank is not None:
        given.append("rerank")
    if given:
        raise InvalidArgument(f"{given[0]}= is for a query that is a text, and this one is a vector")


def id_of(id: Any) -> str:
    """The id, if it is one."""
    if isinstance(id, str):
        return id
    raise TypeError(f"an id is a str, and not of type {type(id).__name__}")


def ids(ids: Union[str, Iterable[str]]) -> List[str]:
    """One id or several, as a list."""
    return [ids] if isinstance(ids, str) else [id_of(id) for id in ids]
