"""Tables that speak Arrow's C interface, read by pyarrow, by nanoarrow where that is not there, or refused by a sentence."""

import datetime
import importlib.util
import sys

import pytest

import akin
from akin import _rows


class Stream:
    """A table of which nothing is known but its stream."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Array:
    """The same of one array."""

    def __init__(self, array):
        self.array = array

    def __arrow_c_array__(self, requested_schema=None):
        return self.array.__arrow_c_array__(requested_schema)


def present(*names):
    return [name for name in names if importlib.util.find_spec(name)]


@pytest.fixture(params=["pyarrow", "nanoarrow"])
def reader(request, monkeypatch):
    """One of the libraries that read Arrow, with the other not there."""
    if not present(request.param):
        pytest.skip(f"{request.param} is not here")
    if request.param == "nanoarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    return request.param


def sources():
    """Tables of id, text and n by each library that is here."""
    columns = {"id": ["p", "q"], "text": ["an arrow", "a bow"], "n": [1, None]}
    if present("polars"):
        import polars

        yield Stream(polars.DataFrame(columns))
        yield Stream(polars.DataFrame(columns, schema_overrides={"text": polars.Categorical}))
    if present("duckdb"):
        import duckdb

        yield duckdb.sql("select 'p' as id, 'an arrow' as text, 1 as n union all select 'q', 'a bow', null")
    if present("pyarrow") and sys.modules.get("pyarrow", 1) is not None:
        import pyarrow

        table = pyarrow.table(columns)
        yield from (table, table.to_batches()[0], table.to_reader(), Stream(table), Array(table.to_batches()[0]))


def test_tables_are_read_through_the_c_interface(index, reader):
    read = 0
    for source in sources():
        index.delete(["p", "q"])
        assert index.add(source).added == 2, type(source)
        assert (index["p"].text, index["q"].text) == ("an arrow", "a bow")
        assert index["p"].metadata == {"n": 1} and index["q"].metadata == {"n": None}
        read += 1
    if not read:
        pytest.skip("nothing that makes tables of Arrow is here")


def test_values_of_all_kinds_are_read(index, reader):
    polars = pytest.importorskip("polars")
    fields = {"list": [1, 2], "inner": {"a": "b"}, "day": datetime.date(2024, 5, 1), "yes": True, "real": 0.5}
    index.add(Stream(polars.DataFrame([{"id": "a", "text": "t", **fields}])))
    assert index["a"].metadata == {**fields, "day": "2024-05-01"}


def test_columns_of_texts_are_texts(index, reader):
    wanted = sorted(["one text", "another text"])
    columns = []
    if present("polars"):
        import polars

        columns += [polars.Series(wanted), Stream(polars.Series(wanted))]
    if present("pandas"):
        import pandas

        columns.append(pandas.Series(wanted))
    if reader == "pyarrow":
        import pyarrow

        columns += [pyarrow.array(wanted), pyarrow.chunked_array([wanted]), Array(pyarrow.array(wanted))]
    for column in columns:
        assert sorted(text for _, text, _ in _rows.documents(column, None, "text", "id")) == wanted, type(column)
    if not columns:
        pytest.skip("nothing that makes columns of Arrow is here")


def test_columns_without_a_type_are_read_or_refused_by_name(index, reader):
    polars = pytest.importorskip("polars")
    table = Stream(polars.DataFrame({"id": ["a"], "text": ["t"], "no": [None], "list": [[None]], "inner": [{"x": None}], "n": [1]}))
    if reader == "pyarrow":
        assert index.add(table).added == 1 and index["a"].metadata["n"] == 1
        return
    with pytest.raises(akin.InvalidArgument, match="cannot read 'no', 'list', 'inner' of a table: .* pip install pyarrow"):
        index.add(table)
    with pytest.raises(akin.InvalidArgument, match="cannot read the column: "):
        index.add(Stream(polars.Series([None, None])))
    assert len(index) == 5


def test_without_a_reader_the_sentence_says_what_to_install(index, monkeypatch):
    for name in ("pyarrow", "nanoarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pyarrow, or nanoarrow"):
        index.add(Stream(None))
    assert len(index) == 5


def test_a_lazy_frame_is_refused(index):
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match="collect"):
        index.add(polars.LazyFrame({"text": ["a"]}))


def test_a_stream_that_fails_is_told(index, reader):
    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            raise OSError("the connection is gone")

    with pytest.raises(OSError, match="the connection is gone"):
        index.add(Broken())
    assert len(index) == 5


def test_a_table_without_the_field_is_refused(index, reader):
    polars = pytest.importorskip("polars")
    with pytest.raises(akin.InvalidArgument, match="has no field 'text' .fields here: 'id', 'body'"):
        index.add(Stream(polars.DataFrame({"id": ["a"], "body": ["b"]})))
