"""Threads and processes search while one adds and deletes: `endure.py`, for 20 seconds or AKIN_ENDURE_SECONDS."""

import endure


def test_answers_stay_true_and_memory_stays_the_same_while_one_changes_the_index(tmp_path):
    notes, failed = endure.endure(tmp_path)
    assert not endure.faults(notes, failed)
    assert {one["who"] for one in notes} == {"writer", *(f"process {number}" for number in range(endure.PROCESSES))}
    last = {one["who"]: one["searches"] for one in notes}
    assert all(last.values()), last


def test_the_truth_notices_a_wrong_answer(tmp_path):
    index = endure.akin.open(tmp_path / "index", create=True, dimension=endure.DIMENSION)
    log = tmp_path / "log"
    ids, vectors = endure.change(0)
    index.add([{"id": str(id), "text": endure.text(id, 0), "step": 0} for id in ids], vectors=vectors, progress=False)
    log.write_text(f"0 {index.generation} {index.generation}\n")
    searcher = endure.Searcher(index, log, 1)
    searcher.round()
    assert searcher.searches >= 8 and not searcher.wrong
    searcher.truth.vectors = searcher.truth.vectors[::-1]
    searcher.round()
    assert searcher.wrong
