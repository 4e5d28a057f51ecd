"""Eight threads and four processes search an index while one thread adds and deletes. Every answer is compared with the truth.

    AKIN_ENDURE_SECONDS=3600 python endure.py [FOLDER]

`test_endure.py` runs the same for 20 seconds.

What step number n of the writer changes depends on n alone. The writer logs the generations that each step committed, so a searcher
that has pinned a generation can compute what the index held then, and compare each answer with all documents of that generation.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import akin

IDS = 6000
DIMENSION = 32
K = 10
SECONDS = float(os.environ.get("AKIN_ENDURE_SECONDS", "20"))
THREADS, PROCESSES = 8, 4
MARKS = 12
"""How often each process notes its memory."""
GROWTH = 32 << 20
"""Bytes of its own that a process may gain after a third of the time. A leak of 100 bytes a search is more than that in an hour."""


def change(step):
    """What a step changes: ids, and their vectors where they are added or replaced."""
    random = np.random.default_rng(step)
    if step == 0:
        return np.arange(IDS), random.standard_normal((IDS, DIMENSION)).astype(np.float32)
    if step % 4 == 3:
        return random.choice(IDS, 60, replace=False), None
    return random.choice(IDS, 50, replace=False), random.standard_normal((50, DIMENSION)).astype(np.float32)


class Truth:
    """What the index held at a generation, by the log of the writer."""

    def __init__(self, log):
        self._log = open(log, encoding="ascii")
        self._line = ""
        self._next = None
        self.last = -1
        self.alive = np.zeros(IDS, bool)
        self.step = np.zeros(IDS, np.int64)
        self.vectors = np.zeros((IDS, DIMENSION), np.float32)

    def advance(self, generation):
        """Applies all steps up to a generation. Its last may not be logged yet: the writer logs after the commit."""
        end = time.monotonic() + 120
        while self.last < generation:
            if self._next is None:
                self._line += self._log.readline()
                if not self._line.endswith("\n"):
                    assert time.monotonic() < end, f"generation {generation} was never logged"
                    time.sleep(0.002)
                    continue
                self._next, self._line = [int(number) for number in self._line.split()], ""
            step, first, last = self._next
            if first > generation:
                return
            self._apply(step)
            self.last, self._next = last, None

    def _apply(self, step):
        if step < 0:
            return  # the segments were merged: their documents are the same
        ids, vectors = change(step)
        self.alive[ids] = vectors is not None
        if vectors is not None:
            self.step[ids] = step
            self.vectors[ids] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def scores(self, query):
        """The similarity of each id, and -2 of those that are deleted."""
        return np.where(self.alive, self.vectors @ (query / np.linalg.norm(query)), -2)


class Searcher:
    """Searches and compares, and counts both."""

    def __init__(self, index, log, seed):
        self.index, self.truth = index, Truth(log)
        self.random = np.random.default_rng([seed, 1])
        self.searches = self.rounds = self.found = self.wanted = 0
        self.wrong = []

    def round(self):
        pinned = self.index.snapshot()
        self.truth.advance(pinned.generation)
        self.rounds += 1
        self._expect(len(pinned) == self.truth.alive.sum(), "the number of documents", len(pinned))
        for exact in (False, True, False):
            query = self.random.standard_normal(DIMENSION).astype(np.float32)
            self._check(pinned.search(query, k=K, exact=exact, **({} if exact else {"ef": 100})), query, exact)
        queries = self.random.standard_normal((4, DIMENSION)).astype(np.float32)
        for hits, query in zip(pinned.search_many(queries, k=K), queries):
            self._check(hits, query, False)
        self._documents(pinned)
        self._follow()

    def _follow(self):
        """A search of the index itself, which follows commits: it counts where no commit came between."""
        query = self.random.standard_normal(DIMENSION).astype(np.float32)
        before = self.index.generation
        hits = self.index.search(query, k=K)
        if self.index.generation == before:
            self.truth.advance(before)
            self._check(hits, query, False)

    def _documents(self, pinned):
        number = int(self.random.integers(IDS))
        document = pinned.get(str(number))
        self._expect((document is not None) == self.truth.alive[number], "whether there is a document", number)
        if document is not None and self.truth.alive[number]:
            step = int(self.truth.step[number])
            self._expect(document.metadata == {"step": step} and document.text == text(number, step), "the document", document)
            hits = pinned.search(f"id{number}x{step}", k=2, mode="keyword")
            self.searches += 1
            self._expect(hits.ids == [str(number)], "the hits of its word", hits.ids)

    def _check(self, hits, query, exact):
        self.searches += 1
        truth = self.truth.scores(query)
        best = np.sort(truth)[: -K - 1 : -1]
        found = np.array(hits.scores)
        ids = np.array([int(id) for id in hits.ids], int)
        self._expect(len(hits) == K and len(set(hits.ids)) == K, "the number of hits", len(hits))
        self._expect(bool(np.allclose(truth[ids], found, atol=1e-4)), "a score", (ids.tolist(), found.tolist(), truth[ids].tolist()))
        self._expect(bool((np.diff(found) <= 1e-6).all()), "the order of the hits", found.tolist())
        if exact:
            self._expect(bool(np.allclose(best, found, atol=1e-4)), "an exact search", (found.tolist(), best.tolist()))
        else:
            self.found += int((found >= best[-1] - 1e-4).sum())
            self.wanted += K

    def _expect(self, holds, what, seen):
        if not holds and len(self.wrong) < 20:
            self.wrong.append(f"{what}, at generation {self.truth.last}: {seen}")


def text(number, step):
    return f"id{number}x{step} is a document"


def memory():
    """Bytes of this process: those of its own, and with the pages of files that it maps."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return 0, 0
    figures = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return tuple(int(figures[name].split()[0]) << 10 for name in ("RssAnon", "VmRSS"))


def write(index, log, stop, counts):
    """Adds, replaces and deletes until it is told to stop."""
    step = 0
    with open(log, "w", encoding="ascii", buffering=1) as out:
        while not stop.is_set():
            before = index.generation
            ids, vectors = change(step)
            if vectors is None:
                index.delete([str(id) for id in ids])
            else:
                rows = [{"id": str(id), "text": text(id, step), "step": step} for id in ids]
                index.add(rows, vectors=vectors, progress=False)
            if step == 0:
                counts["first"] = True
            after = index.generation
            # One call is one commit, apart from the first, which nobody searches before it is logged.
            assert step == 0 or after == before + 1, (step, before, after)
            out.write(f"{step} {before + 1 if step else after} {after}\n")
            if step % 40 == 39:
                index.compact() if step % 2000 == 1999 else index.optimize()
                if index.generation > after:
                    out.write(f"-1 {after + 1} {index.generation}\n")
            if step % 500 == 499:
                index.release()
            step += 1
            counts["steps"] = step


def note(folder, name, begun, searchers, **more):
    own, all_of_it = memory()
    line = {
        "who": name,
        "seconds": round(time.monotonic() - begun, 1),
        "searches": sum(one.searches for one in searchers),
        "rounds": sum(one.rounds for one in searchers),
        "found": sum(one.found for one in searchers),
        "wanted": sum(one.wanted for one in searchers),
        "wrong": [wrong for one in searchers for wrong in one.wrong],
        "own": own,
        "all": all_of_it,
        **more,
    }
    with open(folder / "notes.jsonl", "a", encoding="utf-8") as out:
        out.write(json.dumps(line, default=str) + "\n")


def search_alone(folder, name):
    """A process that searches, and opens the index again now and then."""
    begun = time.monotonic()
    index = akin.open(folder / "index")
    searcher = Searcher(index, folder / "log", int(name))
    marks = 1
    while not searcher.rounds or not (folder / "stop").exists():
        searcher.round()
        if searcher.rounds % 500 == 0:
            index.close()
            searcher.index = index = akin.open(folder / "index")
        if time.monotonic() - begun > marks * SECONDS / MARKS:
            note(folder, f"process {name}", begun, [searcher])
            marks += 1
    note(folder, f"process {name}", begun, [searcher])


def endure(folder):
    """Runs all of it. Gives the notes of each process."""
    folder = pathlib.Path(folder)
    index = akin.open(folder / "index", create=True, dimension=DIMENSION)
    stop, failed, counts = threading.Event(), [], {"steps": 0}

    def guarded(call, *arguments):
        try:
            call(*arguments)
        except BaseException as error:  # noqa: BLE001 - it is told below
            failed.append(f"{type(error).__name__}: {error}")
            stop.set()

    def search(searcher):
        while not stop.is_set():
            searcher.round()

    writer = threading.Thread(target=guarded, args=(write, index, folder / "log", stop, counts))
    writer.start()
    while not counts["steps"] and not failed:
        time.sleep(0.01)
    searchers = [Searcher(index, folder / "log", 100 + number) for number in range(THREADS)]
    threads = [threading.Thread(target=guarded, args=(search, one)) for one in searchers]
    command = [sys.executable, os.path.abspath(__file__), str(folder)]
    others = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True) for number in range(PROCESSES)]
    begun = time.monotonic()
    [thread.start() for thread in threads]
    for mark in range(1, MARKS + 1):
        stop.wait(max(0.0, begun + mark * SECONDS / MARKS - time.monotonic()))
        note(folder, "writer", begun, searchers, commits=counts["steps"])
    stop.set()
    (folder / "stop").touch()
    [thread.join() for thread in [*threads, writer]]
    for number, other in enumerate(others):
        said = other.communicate(timeout=300)[1]
        if other.returncode:
            failed.append(f"process {number} ended with {other.returncode}: {said}")
    failed += [] if failed else at_the_end(index, folder)
    index.close()
    notes = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]
    return notes, failed


def at_the_end(index, folder):
    """What is wrong of the index itself, opened again."""
    index.close()
    with akin.open(folder / "index") as again:
        again.verify(progress=False)
        truth = Truth(folder / "log")
        truth.advance(again.generation)
        held = {(document.id, document.metadata["step"]) for document in again}
        wanted = {(str(id), int(truth.step[id])) for id in np.flatnonzero(truth.alive)}
        return [] if held == wanted else [f"the index holds {len(held ^ wanted)} documents that it should not, or lacks them"]


def faults(notes, failed):
    """What a run has shown that must not be."""
    found = list(failed)
    for who in sorted({one["who"] for one in notes}):
        own = [one for one in notes if one["who"] == who]
        found += [f"{who}: {wrong}" for wrong in own[-1]["wrong"]]
        if own[-1]["found"] < 0.95 * own[-1]["wanted"]:
            found.append(f"{who}: recall {own[-1]['found'] / own[-1]['wanted']:.3f}")
        warm = [one["own"] for one in own if one["seconds"] >= SECONDS / 3 - 1]
        if warm and warm[-1] - warm[0] > GROWTH:
            found.append(f"{who}: its memory grew from {warm[0] >> 20} to {warm[-1] >> 20} MiB")
    return found


def main(folder):
    notes, failed = endure(folder)
    for one in notes:
        recall = one["found"] / max(one["wanted"], 1)
        commits = f" commits {one['commits']}" if "commits" in one else ""
        print(
            f"{one['seconds']:7.1f} s {one['who']:10} searches {one['searches']:9} wrong {len(one['wrong'])} recall {recall:.4f} "
            f"own {one['own'] / (1 << 20):6.1f} MiB with mapped {one['all'] / (1 << 20):6.1f}{commits}"
        )
    wrong = faults(notes, failed)
    print("\n".join(wrong) or "no crash, no wrong answer, no growth")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) == 3:
        search_alone(pathlib.Path(sys.argv[1]), sys.argv[2])
    elif len(sys.argv) == 2:
        sys.exit(main(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            sys.exit(main(made))
