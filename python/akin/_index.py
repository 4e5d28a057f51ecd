"""An index: documents, searched by meaning and by words."""

from __future__ import annotations

import os
import sys
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from . import _akin, _arrays, _options, _progress, _rows
from ._akin import Hits
from ._document import Document, Report
from ._encoder import CrossEncoder, Name, SentenceEncoder
from ._filter import Filter
from .errors import DocumentNotFound, InvalidArgument

if TYPE_CHECKING:
    from ._map import CorpusMap

Result = TypeVar("Result")

BATCH = 1024
"""Documents that are encoded and committed together."""


def open(
    path: Name,
    create: bool = False,
    *,
    model: Union[Name, SentenceEncoder, None] = None,
    dimension: Optional[int] = None,
    similarity: Optional[str] = None,
    passages: Union[str, int, None] = "auto",
    precision: str = "f32",
    query_prompt: Optional[str] = None,
    document_prompt: Optional[str] = None,
    truncate_dim: Optional[int] = None,
    engine_options: Optional[Mapping[str, Any]] = None,
) -> Index:
    """Opens the index in a folder or in a bucket, a table of PostgreSQL, or a collection of Milvus. Any number of programs may read an
    index; one at a time changes it.

    >>> index = akin.open("notes", create=True)
    >>> index = akin.open("s3://search/notes")  # doctest: +SKIP
    >>> index = akin.open("postgres://me@host/search/notes", create=True)  # doctest: +SKIP

    :param path: where it is:

        - a folder;
        - ``s3://BUCKET/PREFIX``, where ``akin copy`` has put an index. That one is only read, through a copy in the user's cache: each
          file is compared with its checksums before it is used, and :meth:`Index.refresh` fetches what is new;
        - ``postgres://USER@HOST:PORT/DATABASE/TABLE`` or ``milvus://HOST:PORT/COLLECTION``. There is no snapshot, map or adoption there,
          and of searches no ``like``, ``unlike``, ``diverse``, ``facets`` and several ``passages``: each is refused by its name. What is
          pickled has the password, if the address has one.
    :param create: whether to make an index if there is none.
    :param model: the model of a new index: a name, a directory or an encoder; all-MiniLM-L6-v2 if none is named. For an index that
        is there: where its model is now, if it was moved.
    :param dimension: for a new index of vectors from elsewhere, how long they are; it knows no model then.
    :param similarity: for such an index, how vectors are compared: "cosine", "dot", "euclidean" or "manhattan".
    :param passages: how a new index cuts long texts: "auto" as the model reads them, a number of tokens, or ``None``.
    :param precision: in what numbers the model computes: "f32", "int8" or "bf16".
    :param engine_options: what is chosen of a new table or collection, as ``--engine-option NAME=VALUE`` of ``akin index`` says it: ``text_config``,
        ``m``, ``ef_construction``, and ``shards`` of a collection.
    :raises IndexNotFound: if there is no index and ``create`` is false.
    """
    encoder, name = None, None
    if isinstance(model, SentenceEncoder):
        encoder = model._native
        name = None if model._name == encoder.directory else model._name
    elif model is not None:
        name = os.fspath(model)
    where, size = os.fspath(path), "none" if passages is None else str(passages)
    how = (name, encoder, precision, query_prompt, document_prompt, truncate_dim, dimension, similarity, size)
    native: Union[_akin.Index, _akin.Table]
    if _akin.Table.is_one(where):
        chosen = [(str(name), str(value)) for name, value in (engine_options or {}).items()]
        native = _akin.Table.at(where, create, *how, chosen)
    elif not engine_options:
        native = _akin.Index.at(os.path.expanduser(where), create, *how)
    else:
        raise InvalidArgument("engine_options= is for a table or collection of an engine: leave it out")
    options = {
        "model": name,
        "precision": precision if encoder is None else encoder.precision,
        "query_prompt": query_prompt,
        "document_prompt": document_prompt,
        "truncate_dim": truncate_dim,
    }
    return Index(native, options)


def _reopen(path: str, options: Dict[str, Any]) -> Index:
    return open(path, **options)


class Index:
    """An open index. :func:`open` makes one.

    It may be used by several threads at once, and pickled: what is pickled is its path and how it was opened. A search sees the newest commit. The first
    change makes this object the one that changes the index, until :meth:`close`, :meth:`release`, or the end of ``with``.
    """

    def __init__(self, native: Union[_akin.Index, _akin.Table], options: Dict[str, Any]) -> None:
        self._native = native
        self._options = options

    # Changes.

    def add(
        self,
        source: Any,
        *,
        ids: Optional[Iterable[Any]] = None,
        vectors: Any = None,
        text_field: str = "text",
        id_field: str = "id",
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        sync: bool = False,
        encoding: Optional[str] = None,
        progress: _progress.Progress = None,
    ) -> Report:
        """Adds documents, or replaces those of the same ids. What is there already, unchanged, costs next to nothing.

        :param source: what to add:

            - a path (a ``str`` or a ``Path``) of a file or folder: documents of any format, records, mail; or a list of ``Path``;
            - a list or a generator of :class:`Document`, of dicts, or of texts;
            - a table: a DataFrame of pandas or polars, or what speaks Arrow's C interface.
        :param ids: ids of texts, or of all documents. A text without one is known by a hash of itself.
        :param vectors: vectors of the documents, of shape (documents, dimension), in place of the model's.
        :param text_field: the field of records that is searched.
        :param id_field: the field of records that names them.
        :param include: of a folder, the files that one of these globs matches.
        :param exclude: of a folder, not the files that one of these globs matches.
        :param sync: whether to remove records that a file brought once and no longer has.
        :param encoding: the encoding of texts that are not UTF-8 and have no mark.
        :param progress: whether to show a bar, or what to call with (phase, done, total).

        Documents are committed by the thousand, so a call that was stopped goes on where it was when it is repeated.
        """
        paths = _rows.paths(source)
        if paths is not None:
            if ids is not None or vectors is not None:
                raise InvalidArgument("files bring ids of their own and no vectors: leave ids= and vectors= out")
            return self._add_files(paths, text_field, id_field, include, exclude, sync, encoding, progress)
        return self._add_rows(source, ids, vectors, text_field, id_field, progress)

    update = add

    def _add_files(
        self,
        paths: List[str],
        text_field: str,
        id_field: str,
        include: Sequence[str],
        exclude: Sequence[str],
        sync: bool,
        encoding: Optional[str],
        progress: _progress.Progress,
    ) -> Report:
        hears = _progress.begin(progress, "document")
        try:
            options = {
                "text_field": _options.whole([text_field], "text_field")[0],
                "id_field": _options.whole([id_field], "id_field")[0],
                "include": _options.whole(include, "a pattern of include="),
                "exclude": _options.whole(exclude, "a pattern of exclude="),
                "sync": sync,
                "encoding": encoding,
            }
            report, skipped = self._native.add_files(paths, options, sys.executable or None, hears)
        finally:
            _progress.end(hears)
        return Report(report["added"], report["replaced"], report["unchanged"], report["removed"], skipped)

    def _add_rows(
        self,
        source: Any,
        ids: Optional[Iterable[Any]],
        vectors: Any,
        text_field: str,
        id_field: str,
        progress: _progress.Progress,
    ) -> Report:
        rows = _rows.documents(source, ids, text_field, id_field)
        array = None if vectors is None else _arrays.matrix(vectors, "the vectors")
        if array is not None and hasattr(source, "__len__") and len(source) != len(array):
            raise InvalidArgument(f"there are {len(array)} vectors and {len(source)} documents: each needs one")
        total = len(source) if hasattr(source, "__len__") else 0
        added = replaced = unchanged = done = 0
        hears = _progress.begin(progress, "document")
        try:
            for batch in _rows.batches(rows, BATCH):
                part: Any = None if array is None else array[done : done + len(batch)]
                if array is not None and len(part) != len(batch):
                    raise InvalidArgument(f"there are {len(array)} vectors and more documents: each needs one")
                done += len(batch)
                names, texts, fields, part = _rows.last_of_each_id(batch, part)
                more, again, same = self._native.upsert(names, texts, fields, part)
                added, replaced, unchanged = added + more, replaced + again, unchanged + same
                if hears:
                    hears("indexing", done, max(total, done))
            if added + replaced >= BATCH:
                self._native.optimize(hears)
        finally:
            _progress.end(hears)
        if array is not None and done != len(array):
            raise InvalidArgument(f"there were {done} documents and {len(array)} vectors: each needs one; all documents were added")
        return Report(added, replaced, unchanged, 0, [])

    def adopt(self, *parts: Name, keep: str = "last") -> None:
        """Takes over the segments of other indexes of the same model, without encoding anything again: so that many machines build and
        one serves. The parts stay as they are, and are not needed any more.

        :param parts: the folders of the other indexes.
        :param keep: which of the documents of one id counts: "last", the index itself coming first, or "first".
        """
        from ._program import call

        self._require_files("adoption")
        self._native.release()
        call("adopt", self.path, *parts, "--keep", keep)

    def delete(self, ids: Union[str, Iterable[str]]) -> int:
        """Deletes documents by id, and tells how many there were."""
        return sum(self._native.delete(_options.ids(ids)))

    def optimize(self, progress: _progress.Progress = None) -> None:
        """Builds graphs for documents that have none, and merges segments that are many. ``add`` does it by itself after a thousand."""
        self._long(self._native.optimize, progress, "vector")

    def compact(self, progress: _progress.Progress = None) -> Dict[str, int]:
        """Makes one segment of all, without what was deleted. Gives documents, removed ones, and bytes before and after."""
        return self._long(self._native.compact, progress, "vector")

    def refresh(self) -> bool:
        """Fetches what is new of an index in a bucket, and tells whether there was a newer commit. An index in a folder is always up to date."""
        return self._native.refresh()

    def release(self) -> None:
        """Lets others change the index, until it is changed here again."""
        self._native.release()

    def close(self) -> None:
        """Ends the use of the index."""
        self._native.close()

    # Searches.

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        mode: Optional[str] = None,
        filter: Union[str, Filter, None] = None,
        ef: Optional[int] = None,
        exact: bool = False,
        offset: int = 0,
        min_score: Optional[float] = None,
        diverse: bool = False,
        passages: int = 1,
        facets: Sequence[str] = (),
        like: Union[str, Sequence[str]] = (),
        unlike: Union[str, Sequence[str]] = (),
        rerank: Union[CrossEncoder, SentenceEncoder, None] = None,
        depth: int = 50,
        weight: Optional[float] = None,
    ) -> Hits:
        """The documents that are nearest to a query, best first.

        >>> [hit.id for hit in index.search("someone has a meal", k=1)]
        ['food']

        :param query: a text, or a vector of the index's dimension.
        :param k: how many to give.
        :param mode: by what documents are found: "semantic", "keyword" or "hybrid"; by what finds most in the index if none is named.
        :param filter: which documents to look among: ``akin.field("year") >= 1990``, or ``"year >= 1990"``.
        :param ef: how many candidates a walk keeps: more finds more, and takes longer.
        :param exact: whether to compare with every document instead.
        :param offset: how many of the best to pass over.
        :param min_score: the least score of a hit.
        :param diverse: whether a hit that says what a better one says gives way to another.
        :param passages: how many of the best passages of each document to give in ``hit.passages``.
        :param facets: fields whose values are counted among the best hits, in ``hits.facets``.
        :param like: ids of documents that hits should be like.
        :param unlike: ids of documents that they should not be like.
        :param rerank: a cross-encoder, or another sentence encoder, that ranks the best ``depth`` again.
        :param weight: how much its scores count beside those of the search; they count alone without it.
        """
        given = (mode, filter, ef, exact, offset, min_score, diverse, passages, facets, like, unlike, rerank)
        if given == _options.NOTHING and not isinstance(query, (str, bytes, bytearray)) and query is not None and k >= 0:
            return self._native.nearest_to(_arrays.row(query, "the query", self._native.dimension)[0], k)
        manner = _options.of_values(k, mode, filter, ef, exact, offset, min_score, diverse, passages, facets, like, unlike, depth, weight)
        if isinstance(query, str):
            return self._native.ask([query], manner, _options.native_reranker(rerank, manner))[0]
        if query is None or isinstance(query, (bytes, bytearray)):
            raise TypeError(f"a query is a str or a vector, and not of type {type(query).__name__}")
        _options.require_text(manner, rerank)
        return self._native.nearest(_arrays.row(query, "the query", self._native.dimension), manner)[0]

    def search_many(self, queries: Any, k: int = 10, **options: Any) -> List[Hits]:
        """The same for a list of texts, or the rows of an array: encoded together and searched in parallel."""
        rerank: Union[CrossEncoder, SentenceEncoder, None] = options.pop("rerank", None)
        manner = _options.of_names(k, options)
        if isinstance(queries, (str, bytes, bytearray, Mapping)):
            raise TypeError(f"queries are a list of str or an array, and not of type {type(queries).__name__}; search() takes one")
        if not hasattr(queries, "ndim"):
            queries = list(queries)
            if all(isinstance(query, str) for query in queries):
                return self._native.ask(queries, manner, _options.native_reranker(rerank, manner))
        _options.require_text(manner, rerank)
        array = _arrays.matrix(queries, "the queries")
        if len(array) and array.shape[1] != self._native.dimension:
            _arrays.row(array[0], "a query", self._native.dimension)
        return self._native.nearest(array, manner) if len(array) else []

    # What it holds.

    def get(self, id: str, default: Any = None) -> Any:
        """The document of an id, or ``default``."""
        found = self._native.get([_options.id_of(id)])[0]
        return default if found is None else Document(*found)

    def get_many(self, ids: Iterable[str]) -> List[Optional[Document]]:
        """The documents of ids, in their order; ``None`` where there is none."""
        return [None if found is None else Document(*found) for found in self._native.get(_options.ids(ids))]

    def __getitem__(self, id: str) -> Document:
        found = self._native.get([_options.id_of(id)])[0]
        if found is None:
            raise DocumentNotFound(f"no document has the id {id!r}")
        return Document(*found)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._native.contains([id])[0]

    def __len__(self) -> int:
        return len(self._native)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Document]:
        """All documents of the commit that is the newest when the iteration begins."""
        return (Document(*found) for found in self._native.documents())

    def vectors(self, id: str) -> Any:
        """The vectors of a document's passages: shape (passages, dimension)."""
        found = self._native.vectors(_options.id_of(id))
        if found is None:
            raise DocumentNotFound(f"no document has the id {id!r}")
        return found

    def snapshot(self) -> Index:
        """The index as it is now: it stays so whatever is changed."""
        return Index(self._native.snapshot(), self._options)

    def stat(self) -> Dict[str, Any]:
        """The figures that ``akin stat --json`` prints."""
        return self._native.stat()

    def map(self, neighbors: int = 15, seed: int = 1) -> CorpusMap:
        """Lays the documents out in the plane, as ``akin map`` does: a notebook shows the map.

        :param neighbors: how many nearest neighbors draw a document: more shows larger structures.
        :param seed: the seed of the random numbers.
        """
        from ._map import of_index

        self._require_files("a map")
        return of_index(self.path, len(self), neighbors, seed)

    def verify(self, progress: _progress.Progress = None) -> Dict[str, int]:
        """Checks every byte of the index; raises IndexDamaged for the first that is wrong."""
        return self._long(self._native.verify, progress, "B")

    @property
    def path(self) -> str:
        """The folder of the index, its address in a bucket, or that of the table or collection without a password."""
        return self._native.path

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._native.dimension

    @property
    def model(self) -> SentenceEncoder:
        """The model of the index."""
        return SentenceEncoder._of(self._native.encoder())

    @property
    def generation(self) -> int:
        """A number that grows with every commit."""
        return self._native.generation

    @property
    def closed(self) -> bool:
        """Whether the index was closed."""
        return self._native.closed

    def _require_files(self, what: str) -> None:
        if isinstance(self._native, _akin.Table):
            raise InvalidArgument(f"{what} cannot be asked of {self.path}, which an engine keeps: open an index in a folder")

    def _long(self, call: Callable[[_progress.Hears], Result], progress: _progress.Progress, unit: str) -> Result:
        hears = _progress.begin(progress, unit)
        try:
            return call(hears)
        finally:
            _progress.end(hears)

    # Beside an event loop: the calls of the same names on a thread.

    async def aadd(self, source: Any, **options: Any) -> Report:
        """:meth:`add`, awaited."""
        return await _on_thread(self.add, source, **options)

    async def adelete(self, ids: Union[str, Iterable[str]]) -> int:
        """:meth:`delete`, awaited."""
        return await _on_thread(self.delete, ids)

    async def asearch(self, query: Any, k: int = 10, **options: Any) -> Hits:
        """:meth:`search`, awaited."""
        return await _on_thread(self.search, query, k, **options)

    async def asearch_many(self, queries: Any, k: int = 10, **options: Any) -> List[Hits]:
        """:meth:`search_many`, awaited."""
        return await _on_thread(self.search_many, queries, k, **options)

    async def aget(self, id: str, default: Any = None) -> Any:
        """:meth:`get`, awaited."""
        return await _on_thread(self.get, id, default)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __reduce__(self) -> Tuple[Any, Tuple[str, Dict[str, Any]]]:
        if isinstance(self._native, _akin.Table):
            return _reopen, (self._native.address, self._options)
        path = self.path if self.path.startswith("s3://") else os.path.abspath(self.path)
        return _reopen, (path, self._options)

    def __repr__(self) -> str:
        if self._native.closed:
            return "Index(closed)"
        return f"Index({self.path!r}, {len(self):,} documents)"


async def _on_thread(call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    # An import takes as long as all of Akin's: only who waits needs it.
    import asyncio
    import functools

    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, functools.partial(call, *arguments, **options))
