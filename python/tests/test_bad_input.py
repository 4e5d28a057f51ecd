"""What is wrong is told in a sentence that says what to do."""

import numpy as np
import pytest

import akin


@pytest.mark.parametrize("bad", [None, b"bytes", 7, 1.5, [None], [7], [b"x"], [{"id": "a"}], [{"id": 1.5, "text": "a"}]])
def test_what_is_no_document_is_refused(index, bad):
    with pytest.raises((TypeError, akin.InvalidArgument)) as refused:
        index.add(bad)
    assert len(str(refused.value)) > 15 and "\n" not in str(refused.value)
    assert len(index) == 5


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"id": "", "text": "a"}, "the id of document 0 is empty"),
        ({"id": "a", "text": None}, "the text of document 0 must be a str"),
        ({"id": "a", "text": "b", "f": object()}, "the field f has a value of type object"),
        ({"id": "a", "text": "b", "f": 1 << 70}, "integer beyond 64 bits"),
        ({"id": "a", "text": "b \udfff"}, "halves of characters"),
        ({"id": "a", "text": "b", "f": "\udfff"}, "halves of characters"),
        ({"id": "a", "text": "b", 7: "f"}, "the name of a field must be a str"),
        ({"body": "b"}, "has no field 'text' .*text_field= names another"),
    ],
)
def test_a_document_that_cannot_be_kept_is_refused(index, document, said):
    with pytest.raises((TypeError, akin.InvalidArgument), match=said):
        index.add([document])


def test_fields_that_hold_themselves_are_refused(index):
    fields = []
    fields.append(fields)
    with pytest.raises(akin.InvalidArgument, match="deeper than 100"):
        index.add({"id": "a", "text": "b", "f": fields})


def test_ids_and_documents_must_be_as_many(index):
    with pytest.raises(akin.InvalidArgument, match="there are 1 ids and more documents"):
        index.add(["a", "b"], ids=["x"])
    with pytest.raises(akin.InvalidArgument, match="more ids than documents"):
        index.add(["a"], ids=["x", "y"])


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        (None, TypeError, "a query is a str or a vector"),
        (b"x", TypeError, "a query is a str or a vector"),
        (np.zeros(15), akin.DimensionError, "has 15 numbers, and those of the index have 16"),
        (np.zeros((2, 16)), akin.InvalidArgument, "shape"),
        (np.full(16, np.nan), akin.InvalidArgument, "no finite number"),
        (np.full(16, np.inf), akin.InvalidArgument, "no finite number"),
        (np.array(["a"] * 16), akin.InvalidArgument, "must be numbers"),
        (np.array([None] * 16), akin.InvalidArgument, "must be numbers|no finite number"),
        (np.array([object()] * 16), akin.InvalidArgument, "must be numbers"),
        ({"a": 1}, akin.InvalidArgument, "must be numbers"),
        (7, akin.InvalidArgument, "shape"),
        ([], akin.DimensionError, "has 0 numbers"),
    ],
)
def test_what_is_no_query_is_refused(vectors, query, error, said):
    index, _ = vectors
    with pytest.raises(error, match=said):
        index.search(query)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": -1}, "k is -1"),
        ({"offset": -2}, "offset is -2"),
        ({"ef": 0}, "ef is 0"),
        ({"mode": "magic"}, "there is no mode 'magic'|there is no mode \"magic\""),
        ({"filter": "a = "}, "of the filter"),
        ({"filter": 7}, "a filter is a str or made by akin.field"),
        ({"mode": "keyword", "like": ["food"]}, "leave mode"),
        ({"mode": 7}, "the mode is a str"),
        ({"facets": [b"kind"]}, "a facet is a str"),
        ({"like": [7]}, "an id is a str"),
    ],
)
def test_options_that_cannot_be_are_refused(index, options, said):
    with pytest.raises((TypeError, akin.InvalidArgument), match=said):
        index.search("food", **options)
    with pytest.raises((TypeError, akin.InvalidArgument), match=said):
        index.search_many(["food"], **options)


def test_options_for_texts_are_refused_of_vectors(vectors):
    index, rows = vectors
    for options in ({"facets": ["a"]}, {"like": "1"}, {"diverse": True}, {"mode": "hybrid"}, {"passages": 3}):
        with pytest.raises(akin.InvalidArgument, match="is for a query that is a text"):
            index.search(rows[0], **options)
    with pytest.raises(TypeError, match="there is no option 'depht'"):
        index.search_many(["a"], depht=3)


@pytest.mark.parametrize("k", [0, 1, 10**6, 2**40])
def test_any_k_is_answered_or_refused(vectors, k):
    index, rows = vectors
    try:
        assert len(index.search(rows[0], k=k)) == min(k, 300)
    except akin.InvalidArgument as error:
        assert "at most" in str(error)


def test_vectors_that_do_not_fit_are_refused(vectors):
    index, rows = vectors
    with pytest.raises(akin.InvalidArgument, match="there are 2 vectors and 3 documents"):
        index.add(["a", "b", "c"], vectors=rows[:2])
    with pytest.raises(akin.DimensionError, match="of 16 numbers, and these have 8"):
        index.add(["a"], vectors=rows[:1, :8])
    with pytest.raises(akin.InvalidArgument, match="no finite number"):
        index.add(["a"], vectors=np.full((1, 16), np.nan))
    with pytest.raises(akin.InvalidArgument, match="files bring ids of their own"):
        index.add("/some/path", vectors=rows)
    assert len(index) == 300


def test_paths_that_are_wrong_are_told(index, tmp_path):
    with pytest.raises(akin.CorpusError, match="nothing-here"):
        index.add(tmp_path / "nothing-here")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "a", "text": "b"}\n{"id": "b"\n')
    with pytest.raises(akin.CorpusError, match="broken.jsonl:2"):
        index.add(broken)
    assert len(index) == 5
    with pytest.raises(akin.IndexNotFound, match="it is a file; an index is a folder"):
        akin.open(broken, create=True)
    with pytest.raises(akin.InvalidArgument, match="there is no similarity"):
        akin.open(tmp_path / "i", create=True, dimension=4, similarity="nearness")
    with pytest.raises(akin.InvalidArgument, match="passages="):
        akin.open(tmp_path / "i", create=True, dimension=4, passages="some")
