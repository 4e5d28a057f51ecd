"""What a search gives, and that it is what the command line gives."""

import json

import numpy as np
import pytest

import akin
from akin import field
from akin._program import call


def test_hits_are_a_sequence(index):
    hits = index.search("A man is eating.", k=3)
    assert len(hits) == 3 and hits.query == "A man is eating."
    assert hits[0].rank == 1 and hits[-1].rank == 3 and [hit.rank for hit in hits[1:]] == [2, 3]
    assert hits.ids == [hit.id for hit in hits] and hits.scores == [hit.score for hit in hits]
    assert sorted(hits.scores, reverse=True) == hits.scores
    hit = hits[0]
    assert hit["kind"] == hit.metadata["kind"] and hit.passage is None and hit.passages == []
    with pytest.raises(KeyError):
        hit["nothing"]
    with pytest.raises(IndexError):
        hits[3]
    assert repr(hit).startswith("Hit(") and repr(hits).startswith("[Hit(")


@pytest.mark.parametrize("mode", [None, "semantic", "keyword", "hybrid"])
@pytest.mark.parametrize("options", [{}, {"k": 2}, {"filter": 'kind = "meal"'}, {"offset": 1}, {"exact": True}])
def test_the_command_line_says_the_same(index, mode, options):
    index.release()
    flags = ["--json"]
    for name, value in {**options, **({"mode": mode} if mode else {})}.items():
        flag = f"--{name}" if len(name) > 1 else f"-{name}"
        flags += [flag] if value is True else [flag, str(value)]
    (said,) = call("query", index.path, "a man with bread", *flags)
    found = json.loads(index.search("a man with bread", mode=mode, **options).to_json())
    assert found == said


def test_filters_are_built_of_operators(index):
    assert index.search("a man", filter=field("kind") == "meal").ids and all(
        hit["kind"] == "meal" for hit in index.search("a man", filter=field("kind") == "meal")
    )
    both = (field("year") >= 1990) & ~field("kind").isin(["animal", "music"])
    assert sorted(index.search("a man", filter=both, mode="semantic").ids) == ["bread", "food"]
    either = (field("kind") == "music") | field("year").between(1980, 1986)
    assert sorted(index.search("a man", filter=either, mode="semantic").ids) == ["girl", "guitar"]
    assert index.search("a man", filter=field("kind") != "meal", mode="semantic").ids == index.search(
        "a man", filter='kind != "meal"', mode="semantic"
    ).ids
    with pytest.raises(TypeError, match="join filters by & and |"):
        bool(field("year") > 1)
    with pytest.raises(akin.FilterError, match="at character"):
        index.search("a man", filter="year >=")


@pytest.mark.parametrize("value", ['a "quoted" one', "back\\slash", "o'clock", "and", "", "ä 你好", "a\nb"])
def test_any_text_can_be_asked_for(index, value):
    index.add({"id": "v", "text": "value", "strange name": value})
    assert index.search("value", filter=field("strange name") == value, mode="semantic").ids == ["v"]


def test_facets_examples_and_passages(index):
    hits = index.search("a man", facets=["kind"])
    assert hits.facets["kind"]["meal"] == 2
    hits = index.search("", like="food", k=2, mode="semantic")
    assert "food" not in hits.ids and len(hits) == 2
    with pytest.raises(akin.DocumentNotFound, match="no document has the id"):
        index.search("", like="nothing")
    long = " ".join(f"Sentence number {number} is about bread and about the number {number}." for number in range(200))
    index.add({"id": "long", "text": long})
    hit = next(hit for hit in index.search("bread and the number 150", k=6, passages=2) if hit.id == "long")
    assert hit.text[hit.passage.start : hit.passage.end] == hit.passage.text
    assert len(hit.passages) == 2 and hit.passages[0].score is not None


def test_places_are_characters(index):
    long = "".join(f"Größe {number} und 高さ {number}. " for number in range(300))
    index.add({"id": "long", "text": long})
    hit = next(hit for hit in index.search("Größe 250", k=6) if hit.id == "long")
    assert hit.text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_many_are_answered_as_one_by_one(index):
    texts = [f"a man number {number}" for number in range(40)]
    many = index.search_many(texts, k=3)
    assert [hits.query for hits in many] == texts
    for text, hits in zip(texts[::7], many[::7]):
        assert hits.ids == index.search(text, k=3).ids
    assert index.search_many([]) == []


def test_rows_of_an_array_are_answered_as_one_by_one(vectors):
    index, rows = vectors
    many = index.search_many(rows[:50], k=4)
    for row, hits in zip(rows[:50], many):
        one = index.search(row, k=4)
        assert one.ids == hits.ids and np.allclose(one.scores, hits.scores)
    assert index.search(rows[3].tolist(), k=1).ids == ["3"]
    assert index.search(rows[3].astype(np.float64), k=1).ids == ["3"]
    assert index.search(np.repeat(rows[3], 2)[::2], k=1).ids == ["3"]
    assert [hits.ids for hits in index.search_many(np.asfortranarray(rows[:3]), k=1)] == [["0"], ["1"], ["2"]]
    assert index.search(rows[3], k=4, offset=1).ids == index.search(rows[3], k=5).ids[1:]
    assert index.search(rows[3], k=300, min_score=0.5).scores[-1] >= 0.5
    assert index.search(rows[3], k=2, exact=True).ids == index.search(rows[3], k=2, ef=300).ids


def test_a_blank_query_finds_nothing(index):
    assert len(index.search("  ")) == 0


def test_a_notebook_shows_hits(index):
    index.add({"id": "<b>", "text": "A <script>alert(1)</script> is no HTML. Bread is eaten. It rains.", "kind": "<i>"})
    shown = index.search("bread <script>", k=6)._repr_html_()
    assert "<script>" not in shown and "&lt;<b>script</b>&gt;" in shown and "&lt;b&gt;" in shown and "<i>" not in shown
    assert "<mark>" in shown and "<b>" in shown
    assert index.search(" ")._repr_html_() == "<p>no hits</p>"
    text = "".join(f"Sentence {number} says little. " for number in range(100)) + "Only this one is about bread."
    index.add({"id": "far", "text": text})
    assert "bread" in index.search("bread", k=9, mode="keyword")._repr_html_()


def test_a_vector_is_shown_without_marks(vectors):
    index, rows = vectors
    assert "<table" in index.search(rows[0])._repr_html_()
