"""Akin finds what means the same: a semantic search engine with a persistent index.

>>> import akin
>>> index = akin.open("notes", create=True)                       # doctest: +SKIP
>>> index.add("~/notes")                                          # doctest: +SKIP
>>> for hit in index.search("fear of heights", k=3):              # doctest: +SKIP
...     print(hit.score, hit.id, hit.text)

- :func:`open` gives an :class:`Index`: documents, searched by meaning, by words or by both.
- :class:`SentenceEncoder` makes vectors of texts, :class:`CrossEncoder` scores pairs of texts.
- :func:`semantic_search`, :func:`paraphrase_mining`, :func:`community_detection`, :func:`dedup`, :func:`cluster` find structure
  in vectors.
- :data:`field` makes filters: ``field("year") >= 1990``.
- :mod:`akin.errors` has what can go wrong.
"""

from . import errors
from ._akin import Hit, Hits, Passage, __version__
from ._document import Document, Report
from ._encoder import CrossEncoder, SentenceEncoder
from ._filter import Filter, field
from ._index import Index, open
from ._mining import (
    Clusters,
    DuplicateGroup,
    cluster,
    community_detection,
    dedup,
    paraphrase_mining,
    paraphrase_mining_embeddings,
    semantic_search,
)
from ._program import evaluate, train
from .errors import (
    Cancelled,
    Closed,
    CorpusError,
    DimensionError,
    DocumentNotFound,
    EngineError,
    Error,
    FilterError,
    Forked,
    IndexDamaged,
    IndexFormatError,
    IndexInUse,
    IndexNotFound,
    InvalidArgument,
    ModelError,
    ModelNotFound,
    OtherModel,
    ReadError,
    WriteError,
)

__all__ = [
    "Cancelled",
    "Closed",
    "Clusters",
    "CorpusError",
    "CrossEncoder",
    "DimensionError",
    "Document",
    "DocumentNotFound",
    "EngineError",
    "DuplicateGroup",
    "Error",
    "Filter",
    "FilterError",
    "Forked",
    "Hit",
    "Hits",
    "Index",
    "IndexDamaged",
    "IndexFormatError",
    "IndexInUse",
    "IndexNotFound",
    "InvalidArgument",
    "ModelError",
    "ModelNotFound",
    "OtherModel",
    "Passage",
    "ReadError",
    "Report",
    "SentenceEncoder",
    "WriteError",
    "__version__",
    "cluster",
    "community_detection",
    "dedup",
    "errors",
    "evaluate",
    "field",
    "open",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "semantic_search",
    "train",
]
