"""Structure in a set of vectors: neighbours, similar pairs, near duplicates, clusters."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import _akin, _progress
from ._arrays import finite, matrix, unit
from ._encoder import SentenceEncoder
from .errors import InvalidArgument

_BLOCK = 1 << 24
"""Scores that are held at once."""


def semantic_search(
    query_embeddings: Any,
    corpus_embeddings: Any,
    query_chunk_size: Optional[int] = None,
    corpus_chunk_size: Optional[int] = None,
    top_k: int = 10,
    score_function: Any = None,
) -> List[List[Dict[str, Union[int, float]]]]:
    """The vectors of a corpus that are nearest to each query, by comparing all, as sentence-transformers' function of the name.

    For a corpus that is searched more than once, an :class:`akin.Index` is faster.

    :param query_embeddings: shape (queries, dimension), or (dimension,) for one.
    :param corpus_embeddings: shape (rows, dimension).
    :param top_k: how many to give for each query.
    :param score_function: what makes scores of two arrays; cosine similarity if none is given.
    :returns: a list for each query, best first, of dicts with ``corpus_id`` and ``score``.
    """
    import numpy as np

    if getattr(query_embeddings, "ndim", 2) == 1:
        query_embeddings = query_embeddings.reshape(1, -1)
    make = matrix if score_function else unit
    queries = finite(make(query_embeddings, "the queries"), "the queries")
    corpus = finite(make(corpus_embeddings, "the corpus"), "the corpus")
    if len(queries) and len(corpus) and queries.shape[1] != corpus.shape[1]:
        raise InvalidArgument(f"the queries have {queries.shape[1]} numbers, and the corpus has {corpus.shape[1]}")
    top_k = min(top_k, len(corpus))
    found: List[List[Dict[str, Union[int, float]]]] = []
    step = max(1, _BLOCK // max(1, len(corpus)))
    for first in range(0, len(queries), step):
        block = queries[first : first + step]
        if not len(corpus) or top_k <= 0:
            found += [[] for _ in block]
            continue
        scores = np.asarray(score_function(block, corpus)) if score_function else block @ corpus.T
        best = np.argpartition(-scores, top_k - 1, axis=1)[:, :top_k]
        for row, columns in zip(scores, best):
            # Of equal scores the first comes first.
            ordered = sorted(columns.tolist(), key=lambda column: (-row[column], column))
            found.append([{"corpus_id": column, "score": float(row[column])} for column in ordered])
    return found


def paraphrase_mining(
    model: SentenceEncoder,
    sentences: Sequence[str],
    show_progress_bar: _progress.Progress = False,
    batch_size: Optional[int] = None,
    query_chunk_size: Optional[int] = None,
    corpus_chunk_size: Optional[int] = None,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Any = None,
    threshold: float = -1.0,
) -> List[List[Union[float, int]]]:
    """The most similar pairs of sentences: lists [score, first, second], best first.

    Of equal sentences each is in a pair with the first of them, and only the first is in others. The sizes of chunks and ``top_k`` are
    accepted and not needed: they bound the work of comparing all, which is bounded otherwise here. Similarity is the cosine.

    >>> encoder = akin.SentenceEncoder()
    >>> pairs = akin.paraphrase_mining(encoder, ["The cat sits.", "It rains.", "A cat is sitting."])
    >>> pairs[0][1:]
    [0, 2]
    """
    vectors = model.encode(list(sentences), show_progress_bar=show_progress_bar)
    return paraphrase_mining_embeddings(
        vectors,
        max_pairs=max_pairs,
        score_function=score_function,
        threshold=threshold,
        show_progress_bar=show_progress_bar,
    )


def paraphrase_mining_embeddings(
    embeddings: Any,
    query_chunk_size: Optional[int] = None,
    corpus_chunk_size: Optional[int] = None,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Any = None,
    threshold: float = -1.0,
    show_progress_bar: _progress.Progress = False,
) -> List[List[Union[float, int]]]:
    """The same of vectors: shape (sentences, dimension)."""
    if score_function is not None:
        raise InvalidArgument("score_function= is not taken: pairs are compared by cosine")
    rows = unit(embeddings, "the embeddings")
    if not len(rows):
        return []
    hears = _progress.begin(show_progress_bar or False, "pair")
    try:
        pairs = _akin.pairs(rows, max_pairs, threshold, hears)
    finally:
        _progress.end(hears)
    return [[score, first, second] for score, first, second in pairs]


def community_detection(
    embeddings: Any,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
    show_progress_bar: bool = False,
) -> List[List[int]]:
    """Groups of vectors that are all near to one of them, as sentence-transformers' function of the name.

    :param threshold: how similar a vector is at least to the one in the middle of its community.
    :param min_community_size: smaller groups are left out.
    :returns: lists of rows, the largest community first; in each the row in the middle comes first. None overlap.
    """
    import numpy as np

    rows = finite(unit(embeddings, "the embeddings"), "the embeddings")
    least = min(max(min_community_size, 1), max(len(rows), 1))
    groups: List[Any] = []
    step = max(1, _BLOCK // max(1, len(rows)))
    for first in range(0, len(rows), step):
        scores = rows[first : first + step] @ rows.T
        near = scores >= threshold
        for place in np.flatnonzero(near.sum(axis=1) >= least):
            members = np.flatnonzero(near[place])
            ordered = members[np.argsort(-scores[place, members], kind="stable")]
            groups.append(ordered)
    groups.sort(key=len, reverse=True)
    taken = np.zeros(len(rows), dtype=bool)
    communities: List[List[int]] = []
    for members in groups:
        left = members[~taken[members]]
        if len(left) >= least:
            taken[left] = True
            communities.append(left.tolist())
    communities.sort(key=len, reverse=True)
    return communities


class DuplicateGroup(NamedTuple):
    """Texts that say the same."""

    kept: int
    """The first of them, which stands for all."""
    duplicates: List[Tuple[int, float]]
    """The others, with their similarity to the first."""


def dedup(
    embeddings: Any, threshold: float = 0.95, progress: _progress.Progress = None
) -> List[DuplicateGroup]:
    """Groups of near duplicates, as ``akin dedup`` finds them.

    :param embeddings: shape (rows, dimension).
    :param threshold: the least cosine similarity of two duplicates.

    >>> import numpy as np
    >>> akin.dedup(np.array([[1, 0], [0, 1], [1, 0.01]]))[0].kept
    0
    """
    rows = unit(embeddings, "the embeddings")
    if not len(rows):
        return []
    hears = _progress.begin(progress, "pair")
    try:
        return [DuplicateGroup(kept, others) for kept, others in _akin.duplicates(rows, threshold, hears)]
    finally:
        _progress.end(hears)


class Clusters(NamedTuple):
    """The clusters of some rows."""

    labels: Any
    """The cluster of each row, an array of int64; the largest cluster is 0."""
    scores: Any
    """The cosine similarity of each row to the mean of its cluster, an array of float32."""


def cluster(
    embeddings: Any,
    k: Optional[int] = None,
    threshold: Optional[float] = None,
    seed: int = 0,
    progress: _progress.Progress = None,
) -> Clusters:
    """Clusters rows by their meaning, as ``akin cluster`` does.

    :param k: how many clusters to make, by k-means; the same ``seed`` gives the same.
    :param threshold: in place of ``k``: clusters are joined while two have this mean similarity.

    >>> import numpy as np
    >>> akin.cluster(np.array([[1, 0], [0, 1], [1, 0.1]]), k=2).labels.tolist()
    [0, 1, 0]
    """
    import numpy as np

    if (k is None) == (threshold is None):
        raise InvalidArgument("give k= or threshold=: how many clusters, or how similar they are")
    rows = unit(embeddings, "the embeddings")
    if not len(rows):
        return Clusters(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    hears = _progress.begin(progress, "row")
    try:
        labels, scores = _akin.clusters(rows, k, threshold, seed, hears)
    finally:
        _progress.end(hears)
    return Clusters(np.array(labels, dtype=np.int64), scores)
