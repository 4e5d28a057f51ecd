"""Akin on Ray: encode a dataset, or index shards, on many machines.

``pip install akin[ray]``

>>> import ray, akin.ray                                                     # doctest: +SKIP
>>> dataset = ray.data.read_json("corpus.jsonl")                             # doctest: +SKIP
>>> akin.ray.encode(dataset, workers=16).write_parquet("vectors")            # doctest: +SKIP
>>> parts = akin.ray.index_parts(shards, "parts")  # then: akin adopt notes parts/*  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import ray

from . import _cluster
from ._encoder import DEFAULT_MODEL


class _Encoder:
    """An actor that keeps the model loaded."""

    def __init__(self, model: str, precision: str, role: str, text: str, output: str, threads: int) -> None:
        self._settings = (model, precision, role, threads)
        self._text, self._output = text, output
        _cluster.encoder(model, precision, threads)

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        batch[self._output] = _cluster.encode([str(text) for text in batch[self._text]], *self._settings)
        return batch


def encode(
    dataset: Any,
    *,
    model: str = DEFAULT_MODEL,
    precision: str = "f32",
    role: str = "document",
    text: str = "text",
    output: str = "embedding",
    workers: int = 2,
    threads: int = 1,
    batch_size: int = 1024,
) -> Any:
    """A dataset of Ray Data with the vectors of a column of texts in another column.

    Each worker keeps the model loaded and computes with ``threads`` threads. Ray reads no more batches ahead than it can hold, and repeats those
    of a worker that was lost.
    """
    return dataset.map_batches(
        _Encoder,
        fn_constructor_args=(model, precision, role, text, output, threads),
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=threads,
    )


def index_parts(
    shards: Sequence[Any],
    folder: Any,
    *,
    threads: int = 1,
    retries: int = 3,
    progress: bool = True,
    options: Sequence[str] = (),
) -> List[str]:
    """Makes an index of each shard, a file of documents, in a folder that all machines see. Gives the folders of the parts.

    ``akin shard`` makes shards of a corpus, and ``akin adopt`` one index of the parts. A part that was begun by a worker that was lost goes on where it
    stopped. ``options`` are those of ``akin index``: ``["--precision", "int8"]``.
    """
    make: Any = ray.remote(num_cpus=threads, max_retries=retries)(_cluster.index_part)
    waiting: List[Any] = [make.remote(shard, part, list(options), threads) for shard, part in _cluster.parts_of(shards, folder)]
    results, all_of = list(waiting), len(waiting)
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1)
        ray.get(done)
        if progress:
            print(f"\rparts: {all_of - len(waiting)} of {all_of}", end="" if waiting else "\n", flush=True)
    return [str(part) for part in ray.get(results)]


