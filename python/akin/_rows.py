"""What may stand for documents, as rows (id, text, other fields)."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .errors import InvalidArgument

Row = Tuple[str, str, Optional[Mapping[str, Any]]]


def paths(source: Any) -> Optional[List[str]]:
    """The files and folders that a source names, if it names some."""
    if isinstance(source, (str, os.PathLike)):
        return [os.path.expanduser(os.fspath(source))]
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, os.PathLike) for one in source):
        return [os.path.expanduser(os.fspath(one)) for one in source]
    return None


def documents(source: Any, ids: Optional[Iterable[Any]], text_field: str, id_field: str) -> Iterator[Row]:
    """The documents of a source, one after the other."""
    if source is None or isinstance(source, (bytes, bytearray)):
        raise TypeError(
            f"documents are a path, a list of texts, dicts or Documents, or a table, and not of type {type(source).__name__}"
        )
    records = _table(source)
    if records is None and (isinstance(source, Mapping) or hasattr(source, "text")):
        source = [source]
    given = None if ids is None else iter(ids)
    for number, record in enumerate(source if records is None else records):
        name = None
        if given is not None:
            try:
                name = next(given)
            except StopIteration:
                raise InvalidArgument(f"there are {number} ids and more documents: each needs one") from None
        yield _row(record, number, name, text_field, id_field)
    if given is not None and next(given, None) is not None:
        raise InvalidArgument("there are more ids than documents: each needs one; all documents were added")


def _row(record: Any, number: int, name: Any, text_field: str, id_field: str) -> Row:
    fields: Optional[Mapping[str, Any]]
    if isinstance(record, str):
        text, fields = record, None
    elif isinstance(record, Mapping):
        if text_field not in record:
            present = ", ".join(repr(str(key)) for key in list(record)[:8]) or "none"
            raise InvalidArgument(
                f"document {number} has no field {text_field!r} (fields here: {present}): text_field= names another"
            )
        text = record[text_field]
        name = record.get(id_field) if name is None else name
        fields = {key: value for key, value in record.items() if key != text_field and key != id_field}
    elif hasattr(record, "text") and hasattr(record, "id"):
        text, fields = record.text, getattr(record, "metadata", None)
        name = record.id if name is None else name
    else:
        raise TypeError(
            f"document {number} is of type {type(record).__name__}: give a text, a dict or an akin.Document"
        )
    if not isinstance(text, str):
        raise TypeError(f"the text of document {number} must be a str, and is of type {type(text).__name__}")
    return _name(name, text, number), text, fields


def _name(name: Any, text: str, number: int) -> str:
    if name is None:
        import hashlib

        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if hasattr(name, "item") and not isinstance(name, str):
        name = name.item()
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise TypeError(f"the id of document {number} must be a str or an int, and is of type {type(name).__name__}")
    if name == "":
        raise InvalidArgument(f"the id of document {number} is empty")
    return str(name)


def _table(source: Any) -> Optional[Iterator[Any]]:
    """The rows of a table, if the source is one."""
    if hasattr(source, "iter_rows") and hasattr(source, "get_column"):  # polars
        rows: Iterator[Dict[str, Any]] = source.iter_rows(named=True)
        return rows
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):
        raise TypeError("a lazy frame has no rows yet: give what its collect() gives")
    if hasattr(source, "to_dict") and hasattr(source, "columns") and hasattr(source, "itertuples"):  # pandas
        names = [str(name) for name in source.columns]
        return (dict(zip(names, row)) for row in source.itertuples(index=False, name=None))
    if hasattr(source, "to_list") and hasattr(source, "__iter__"):  # a column of pandas or polars
        return None
    if hasattr(source, "to_batches") or hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return _arrow(source)
    return None


def _arrow(source: Any) -> Iterator[Any]:
    """The rows of a table of Arrow, or the values of a column: read by pyarrow, and by nanoarrow where that is not there."""
    try:
        import pyarrow
    except ImportError:
        return _arrow_by_nanoarrow(source)
    if not hasattr(source, "__arrow_c_stream__"):
        values: List[Any] = pyarrow.array(source).to_pylist()
        return iter(values)
    try:
        reader = pyarrow.RecordBatchReader.from_stream(source)
    except pyarrow.ArrowInvalid:  # a column
        values = pyarrow.chunked_array(source).to_pylist()
        return iter(values)
    return (row for batch in reader for row in batch.to_pylist())


def _arrow_by_nanoarrow(source: Any) -> Iterator[Any]:
    try:
        import nanoarrow
    except ImportError:
        raise ImportError(
            "tables of Arrow are read by pyarrow or nanoarrow, and neither is here: pip install pyarrow, or nanoarrow, which is smaller"
        ) from None
    if not hasattr(source, "__arrow_c_stream__"):
        rows: Iterator[Any] = nanoarrow.Array(source).iter_py()
        return rows
    return _rows_of_stream(nanoarrow.ArrayStream(source))


def _rows_of_stream(stream: Any) -> Iterator[Any]:
    """The rows of a stream that nanoarrow has. It fails at columns of the type Null as polars gives them."""
    schema = stream.schema
    try:
        for chunk in stream:
            yield from chunk.iter_py()
    except RuntimeError as error:
        untyped = [repr(field.name) for field in schema.fields if _is_untyped(field)]
        if not untyped and not _is_untyped(schema):
            raise
        which = f"{', '.join(untyped)} of a table" if untyped else "the column"
        raise InvalidArgument(
            f"nanoarrow cannot read {which}: all values there are null, and none has a type; leave it out, or pip install pyarrow"
        ) from error


def _is_untyped(field: Any) -> bool:
    """Whether there are only nulls in a column, or in a part of it."""
    return field.type.name == "NULL" or any(map(_is_untyped, field.fields))


def batches(rows: Iterable[Row], size: int) -> Iterator[List[Row]]:
    """Rows by the thousand, and no more text than is well held at once."""
    batch: List[Row] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += len(row[1])
        if len(batch) == size or held > 4 << 20:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def last_of_each_id(batch: List[Row], vectors: Any) -> Tuple[List[str], List[str], List[Any], Any]:
    """Ids, texts, fields and vectors of a batch: of documents with one id the last."""
    last = {row[0]: place for place, row in enumerate(batch)}
    if len(last) < len(batch):
        kept = sorted(last.values())
        batch = [batch[place] for place in kept]
        vectors = None if vectors is None else vectors[kept]
    return [row[0] for row in batch], [row[1] for row in batch], [row[2] for row in batch], vectors
