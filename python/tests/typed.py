"""A program that uses Akin, for `mypy --strict` and `pyright` in its strict mode: what Akin gives has types."""

from typing import Dict, List, Optional

import akin
from akin import field


def ask(path: str, question: str) -> Optional[str]:
    """The text that answers a question."""
    with akin.open(path, create=True, passages=None) as index:
        report: akin.Report = index.add([akin.Document("1", "A man is eating food.", {"year": 1990})])
        count: int = report.added + len(index)
        hits: akin.Hits = index.search(question, k=count, filter=(field("year") >= 1990) & ~(field("kind") == "draft"))
        for hit in hits:
            place: int = hit.rank
            passage: Optional[akin.Passage] = hit.passage
            if passage is not None and place == 1:
                return passage.text
        facets: Dict[str, Dict[str, int]] = hits.facets
        many: List[akin.Hits] = index.search_many([question], k=3)
        document: akin.Document = index["1"]
        return document.text if facets and many else None


async def wait(index: akin.Index) -> float:
    """The score of the best hit."""
    hits = await index.asearch("food", k=1)
    return hits[0].score


def mine(texts: List[str]) -> List[int]:
    """The cluster of each text."""
    encoder = akin.SentenceEncoder("all-MiniLM-L6-v2", precision="int8")
    clusters = akin.cluster(encoder.encode(texts), k=3)
    groups: List[akin.DuplicateGroup] = akin.dedup(encoder.encode(texts))
    return [group.kept for group in groups] or list(clusters.labels)


def careful(path: str) -> bool:
    """Whether there is an index."""
    try:
        akin.open(path).close()
    except (akin.IndexNotFound, akin.ModelError):
        return False
    return True
