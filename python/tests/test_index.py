"""What an index does: add, replace, delete, get, and stay what it is on the disk."""

import asyncio
import pickle

import numpy as np
import pytest

import akin
from conftest import NOTES


def test_documents_are_added_found_and_deleted(index):
    assert len(index) == 5 and "food" in index and "nothing" not in index and 7 not in index
    assert index["food"] == akin.Document("food", "A man is eating food.", {"kind": "meal", "year": 1990})
    assert index.get("nothing") is None and index.get("nothing", 1) == 1
    assert [document and document.id for document in index.get_many(["girl", "no", "horse"])] == ["girl", None, "horse"]
    with pytest.raises(akin.DocumentNotFound, match="no document has the id 'no'"):
        index["no"]
    assert index.delete(["food", "no"]) == 1
    assert "food" not in index and len(index) == 4
    assert index.delete("bread") == 1
    assert sorted(document.id for document in index) == ["girl", "guitar", "horse"]


def test_an_index_is_there_when_it_is_opened_again(tmp_path, tiny):
    with akin.open(tmp_path / "i", create=True, model=tiny) as index:
        report = index.add(NOTES)
        assert (report.added, report.replaced, report.unchanged, report.removed, report.skipped) == (5, 0, 0, 0, [])
    again = akin.open(tmp_path / "i")
    assert len(again) == 5 and again.model.dimension == again.dimension
    report = again.add([*NOTES[:4], {"id": "guitar", "text": "A woman plays the violin."}])
    assert (report.added, report.replaced, report.unchanged) == (0, 1, 4)
    assert again["guitar"].metadata == {}
    again.close()
    assert again.closed and repr(again) == "Index(closed)"
    with pytest.raises(akin.Closed, match="the index was closed: open it again with akin.open"):
        len(again)


def test_what_is_not_there_is_made_only_when_that_is_said(tmp_path):
    with pytest.raises(akin.IndexNotFound, match="create=True"):
        akin.open(tmp_path / "i")
    with pytest.raises(FileNotFoundError):
        akin.open(tmp_path / "i")
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("text", ["one", "two words"])
def test_a_text_without_an_id_is_known_by_its_hash(index, text):
    index.add([text])
    assert index.add([text]).unchanged == 1
    (found,) = [document for document in index if document.text == text]
    assert len(found.id) == 16 and found.metadata == {}


def test_rows_come_in_many_forms(index):
    index.add(akin.Document("d", "a document", {"n": 1}))
    index.add({"id": "e", "text": "a dict", "tags": ["x", "y"], "nested": {"deep": None}})
    index.add(({"id": number, "text": f"text {number}"} for number in range(3)))
    index.add(["f text", "g text"], ids=["f", "g"])
    assert index["d"].metadata == {"n": 1}
    assert index["e"].metadata == {"tags": ["x", "y"], "nested": {"deep": None}}
    assert index["2"].text == "text 2" and index["g"].text == "g text"
    index.add([{"key": "h", "body": "other names"}], id_field="key", text_field="body")
    assert index["h"].text == "other names" and index["h"].metadata == {}


def test_the_last_of_two_with_one_id_is_kept(index):
    index.add([{"id": "a", "text": "first"}, {"id": "b", "text": "other"}, {"id": "a", "text": "second"}])
    assert index["a"].text == "second" and index["b"].text == "other"


def test_metadata_keeps_what_json_keeps(index):
    import datetime
    import pathlib

    fields = {
        "none": None, "yes": True, "int": 1 << 60, "large": (1 << 64) - 1, "float": 0.25, "nan": float("nan"), "letters": "ä",
        "list": [1, "a", None], "day": datetime.date(2024, 5, 1), "numpy": np.float32(0.5), "array": np.arange(3),
        "path": pathlib.PurePosixPath("a/b"),
    }
    index.add({"id": "m", "text": "fields", **fields})
    assert index["m"].metadata == {
        **fields, "nan": None, "day": "2024-05-01", "numpy": 0.5, "array": [0, 1, 2], "path": "a/b",
    }


def test_files_and_folders_are_read(index, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "one.md").write_text("# Heights\n\nThe fear of heights is called acrophobia.\n")
    (folder / "two.txt").write_text("Bread is made of flour.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    told = []
    report = index.add(str(folder), progress=lambda *seen: told.append(seen))
    assert report.added == 2 and len(report.skipped) == 1 and "broken.pdf" in report.skipped[0][0]
    assert index.add(folder).added == 0
    (folder / "two.txt").unlink()
    assert index.add([folder]).removed == 1
    lines = tmp_path / "more.jsonl"
    lines.write_text('{"id": "x", "text": "from a file", "year": 1}\n')
    assert index.add(lines).added == 1 and index["x"].metadata == {"year": 1}


def test_tables_are_read(index):
    pandas = pytest.importorskip("pandas")
    index.add(pandas.DataFrame({"id": [1, 2], "text": ["a row", "another"], "n": [1.5, None]}))
    assert index["1"].metadata == {"n": 1.5} and index["2"].metadata == {"n": None}


def test_arrow_tables_are_read(index):
    arrow = pytest.importorskip("pyarrow")
    index.add(arrow.table({"id": ["p", "q"], "text": ["an arrow", "a bow"], "n": [1, None]}))
    assert index["p"].metadata == {"n": 1} and index["q"].metadata == {"n": None}


def test_polars_tables_are_read(index):
    polars = pytest.importorskip("polars")
    index.add(polars.DataFrame({"id": ["r"], "text": ["a bear"], "n": [1]}))
    assert index["r"].metadata == {"n": 1}


def test_a_generator_that_raises_keeps_what_was_committed(index):
    def rows():
        for number in range(3000):
            if number == 2500:
                raise RuntimeError("the source is gone")
            yield {"id": f"row {number}", "text": f"text of row {number}"}

    with pytest.raises(RuntimeError, match="the source is gone"):
        index.add(rows())
    assert len(index) == 5 + 2048
    report = index.add({"id": f"row {number}", "text": f"text of row {number}"} for number in range(2500))
    assert (report.added, report.unchanged) == (452, 2048)


def test_vectors_from_elsewhere(vectors):
    index, rows = vectors
    assert len(index) == 300 and index.dimension == 16
    hits = index.search(rows[7], k=3)
    assert hits[0].id == "7" and abs(hits[0].score - 1) < 1e-5
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    truth = np.argsort(-(unit @ unit[7]))[:3]
    assert hits.ids == [str(row) for row in truth]
    assert np.allclose(index.vectors("7")[0], unit[7], atol=1e-6)
    with pytest.raises(akin.ModelError, match="knows no model: search it with vectors"):
        index.search("a text")
    with pytest.raises(akin.ModelError):
        index.add(["a text"])


def test_a_snapshot_stays_what_it_is(index):
    snapshot = index.snapshot()
    index.delete("food")
    assert len(snapshot) == 5 and "food" in snapshot and len(index) == 4
    assert snapshot.search("eating", k=5).ids != index.search("eating", k=5).ids
    with pytest.raises(akin.InvalidArgument, match="a snapshot is not changed"):
        snapshot.add(["text"])


def test_iteration_sees_one_commit(index):
    seen = []
    for document in index:
        index.delete(document.id)
        seen.append(document.id)
    assert len(seen) == 5 and len(index) == 0


def test_figures_and_care(index):
    stat = index.stat()
    assert stat["documents"] == 5 and stat["dimension"] == index.dimension and stat["model"]["fingerprint"]
    assert index.verify()["documents"] == 5
    index.delete("food")
    compacted = index.compact()
    assert compacted["documents"] == 4 and compacted["removed"] == 1
    index.optimize()
    before = index.generation
    index.add(["one more"])
    assert index.generation > before


def test_an_index_is_pickled_as_its_path(index):
    index.release()
    again = pickle.loads(pickle.dumps(index))
    assert len(again) == 5 and again.path == index.path
    again.add(["from the copy"])
    assert len(index) == 6
    again.close()
    coarse = akin.open(index.path, precision="int8")
    assert pickle.loads(pickle.dumps(coarse)).search("a man", k=6).scores == coarse.search("a man", k=6).scores
    assert pickle.loads(pickle.dumps(coarse)).model._native.precision == "int8"


def test_one_object_at_a_time_changes_an_index(index):
    other = akin.open(index.path)
    with pytest.raises(akin.IndexInUse, match="is being changed by another process"):
        other.add(["a text"])
    index.release()
    assert other.add(["a text"]).added == 1
    other.close()
    assert index.add(["a third"]).added == 1 and len(index) == 7


def test_an_index_and_a_model_that_do_not_fit_are_told_apart(index, minilm):
    with pytest.raises(akin.OtherModel, match="was built with the model"):
        akin.open(index.path, model=minilm)


def test_beside_an_event_loop(index):
    async def work():
        report = await index.aadd(["an awaited text"], ids=["awaited"])
        hits, document, many = await asyncio.gather(
            index.asearch("awaited", k=1), index.aget("awaited"), index.asearch_many(["a", "b"], k=2)
        )
        assert await index.adelete("awaited") == 1
        return report, hits, document, many

    report, hits, document, many = asyncio.run(work())
    assert report.added == 1 and len(hits) == 1 and document.text == "an awaited text" and len(many) == 2


def test_progress_is_told_and_may_stop(index):
    told = []
    index.add([f"text {number}" for number in range(1500)], progress=lambda *seen: told.append(seen))
    assert ("indexing", 1500, 1500) in told

    def stop(phase, done, total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        index.add([f"other {number}" for number in range(3000)], progress=stop)
    assert len(index) == 5 + 1500 + 1024


def test_parts_become_one_index(index, encoder, tmp_path):
    for part in ("a", "b"):
        with akin.open(tmp_path / part, create=True, model=encoder, passages=40) as other:
            other.add([{"id": f"{part}{number}", "text": f"text {number} of {part}"} for number in range(10)])
            other.add([{"id": "food", "text": f"Food of {part}."}])
    index.adopt(tmp_path / "a", tmp_path / "b")
    assert len(index) == 25 and index["food"].text == "Food of b." and "a7" in index
    index.add(["and it may be changed"])
    assert len(index) == 26
    with pytest.raises(akin.Error, match="nothing"):
        index.adopt(tmp_path / "nothing")


def test_the_map_has_every_document(index, tmp_path):
    index.add([f"a text about the number {number}" for number in range(60)])
    drawn = index.map()
    assert len(drawn) == len(index) and {point["id"] for point in drawn.points} == {one.id for one in index}
    assert "<iframe" in drawn._repr_html_() and "65 documents" in repr(drawn)
    with open(drawn.save(tmp_path / "map.html"), encoding="utf-8") as file:
        assert "<!doctype html>" in file.read().lower()


def test_a_damaged_index_is_told(tmp_path, encoder):
    with akin.open(tmp_path / "i", create=True, model=encoder) as index:
        index.add(NOTES)
    (segment,) = (tmp_path / "i" / "segments").iterdir()
    content = bytearray(segment.read_bytes())
    # Between blocks are zeros that nothing reads.
    content[next(at for at in range(len(content) // 2, len(content)) if content[at])] ^= 1
    segment.write_bytes(content)
    with pytest.raises(akin.IndexDamaged, match="is damaged"):
        akin.open(tmp_path / "i").verify()
