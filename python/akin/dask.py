"""Akin on Dask: encode texts, or index shards, on many machines.

``pip install akin[dask]``

>>> from dask.distributed import Client                                      # doctest: +SKIP
>>> import akin.dask                                                         # doctest: +SKIP
>>> vectors = akin.dask.encode(Client("scheduler:8786"), texts)              # doctest: +SKIP
>>> parts = akin.dask.index_parts(client, shards, "parts")  # then: akin adopt notes parts/*  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, List, Sequence

from . import _cluster
from ._encoder import DEFAULT_MODEL


def encode(
    client: Any,
    texts: Sequence[str],
    *,
    model: str = DEFAULT_MODEL,
    precision: str = "f32",
    role: str = "document",
    threads: int = 1,
    batch_size: int = 1024,
    retries: int = 3,
) -> Any:
    """The vectors of texts, of shape (texts, dimension), computed by the workers of a client.

    Each worker keeps the model loaded and computes with ``threads`` threads. Batches of a worker that was lost are done again by others.
    """
    import numpy as np

    batches = [list(texts[first : first + batch_size]) for first in range(0, len(texts), batch_size)]
    if not batches:
        return np.zeros((0, _cluster.encoder(model, precision, threads).dimension), dtype=np.float32)
    settings = (model, precision, role, threads)
    # Scheduled anew in each call: the vectors of one call are not those of another model of the same name.
    futures = client.map(_encode, batches, settings=settings, retries=retries, pure=False)
    return np.concatenate(client.gather(futures))


def _encode(texts: List[str], settings: Any) -> Any:
    return _cluster.encode(texts, *settings)


def index_parts(
    client: Any,
    shards: Sequence[Any],
    folder: Any,
    *,
    threads: int = 1,
    retries: int = 3,
    options: Sequence[str] = (),
) -> List[str]:
    """Makes an index of each shard, a file of documents, in a folder that all machines see. Gives the folders of the parts.

    ``akin shard`` makes shards of a corpus, and ``akin adopt`` one index of the parts. A part that was begun by a worker that was lost goes on where it
    stopped. ``options`` are those of ``akin index``: ``["--precision", "int8"]``.
    """
    parts = _cluster.parts_of(shards, folder)
    futures = [
        client.submit(_cluster.index_part, shard, part, list(options), threads, retries=retries, pure=False)
        for shard, part in parts
    ]
    return [str(part) for part in client.gather(futures)]
