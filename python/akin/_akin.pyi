"""The native half."""

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union, overload
import os

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Hears = Optional[Callable[[str, int, int], Any]]

__version__: str

class Passage:
    """A part of a document's text."""

    text: str
    start: int
    end: int
    score: Optional[float]

class Hit:
    """A document that a search found."""

    rank: int
    score: float
    id: str
    text: str
    passage: Optional[Passage]
    passages: List[Passage]
    metadata: Dict[str, Any]
    def __getitem__(self, field: str) -> Any: ...

class Hits(Sequence[Hit]):
    """The documents that a search found, best first."""

    query: str
    facets: Dict[str, Dict[str, int]]
    ids: List[str]
    scores: List[float]
    def marks(self) -> List[Tuple[Tuple[int, int], Optional[Tuple[int, int]], List[Tuple[int, int]]]]: ...
    def to_json(self) -> str: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Hit]: ...
    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hit]: ...

class Encoder:
    precision: str
    directory: str
    fingerprint: str
    dimension: int
    max_tokens: int
    similarity: str
    def __new__(
        cls,
        model: str,
        precision: str,
        query_prompt: Optional[str],
        document_prompt: Optional[str],
        dimensions: Optional[int],
    ) -> Encoder: ...
    def encode(
        self, texts: List[str], prompt: Optional[str] = None, role: Optional[str] = None, progress: Hears = None
    ) -> Floats: ...
    def tokens(
        self, texts: List[str], prompt: Optional[str] = None, role: Optional[str] = None, progress: Hears = None
    ) -> List[Tuple[npt.NDArray[np.int64], Floats]]: ...
    def prompt(self, role: str) -> str: ...
    def count_tokens(self, texts: List[str]) -> List[int]: ...

class Scorer:
    directory: str
    max_tokens: int
    scores_within_one: bool
    def __new__(cls, model: str, precision: str) -> Scorer: ...
    def score(self, pairs: List[Tuple[str, str]], progress: Hears = None) -> Floats: ...

class Documents:
    def __iter__(self) -> Documents: ...
    def __len__(self) -> int: ...
    def __next__(self) -> Tuple[str, str, Dict[str, Any]]: ...

class TableDocuments:
    def __iter__(self) -> TableDocuments: ...
    def __len__(self) -> int: ...
    def __next__(self) -> Tuple[str, str, Dict[str, Any]]: ...

class _Kept:
    # What an index and a table have in common. It is named in this file alone.
    path: str
    dimension: int
    generation: int
    closed: bool
    has_model: bool
    def close(self) -> None: ...
    def release(self) -> None: ...
    def refresh(self) -> bool: ...
    def encoder(self) -> Encoder: ...
    def __len__(self) -> int: ...
    def contains(self, ids: List[str]) -> List[bool]: ...
    def get(self, ids: List[str]) -> List[Optional[Tuple[str, str, Dict[str, Any]]]]: ...
    def vectors(self, id: str) -> Optional[Floats]: ...
    def stat(self) -> Dict[str, Any]: ...
    def verify(self, progress: Hears = None) -> Dict[str, int]: ...
    def upsert(
        self,
        ids: List[str],
        texts: List[str],
        metadata: List[Any],
        vectors: Optional[Floats] = None,
        progress: Hears = None,
    ) -> Tuple[int, int, int]: ...
    def delete(self, ids: List[str]) -> List[bool]: ...
    def add_files(
        self,
        paths: List[str],
        options: Dict[str, Any],
        program: Optional[str],
        progress: Hears = None,
    ) -> Tuple[Dict[str, Any], List[Tuple[str, str]]]: ...
    def optimize(self, progress: Hears = None) -> None: ...
    def compact(self, progress: Hears = None) -> Dict[str, int]: ...
    def ask(self, texts: List[str], manner: Dict[str, Any], reranker: Union[Scorer, Encoder, None] = None) -> List[Hits]: ...
    def nearest_to(self, vector: Floats, k: int) -> Hits: ...
    def nearest(self, vectors: Floats, manner: Dict[str, Any]) -> List[Hits]: ...

class Index(_Kept):
    @staticmethod
    def at(
        path: str,
        create: bool,
        model: Optional[str],
        encoder: Optional[Encoder],
        precision: str,
        query_prompt: Optional[str],
        document_prompt: Optional[str],
        truncate_dim: Optional[int],
        dimension: Optional[int],
        similarity: Optional[str],
        passages: Optional[str],
    ) -> Index: ...
    def snapshot(self) -> Index: ...
    def documents(self) -> Documents: ...

class Table(_Kept):
    address: str
    @staticmethod
    def is_one(address: str) -> bool: ...
    @staticmethod
    def at(
        address: str,
        create: bool,
        model: Optional[str],
        encoder: Optional[Encoder],
        precision: str,
        query_prompt: Optional[str],
        document_prompt: Optional[str],
        truncate_dim: Optional[int],
        dimension: Optional[int],
        similarity: Optional[str],
        passages: Optional[str],
        engine_options: List[Tuple[str, str]],
    ) -> Table: ...
    def snapshot(self) -> Table: ...
    def documents(self) -> TableDocuments: ...

def locate_model(name: str) -> str: ...
def pairs(
    embeddings: Floats, top: int, threshold: float, progress: Hears = None
) -> List[Tuple[float, int, int]]: ...
def duplicates(
    embeddings: Floats, threshold: float, progress: Hears = None
) -> List[Tuple[int, List[Tuple[int, float]]]]: ...
def clusters(
    embeddings: Floats, clusters: Optional[int], threshold: Optional[float], seed: int, progress: Hears = None
) -> Tuple[List[int], Floats]: ...
def main(arguments: List[str], program: str) -> int: ...
