"""What `akin.ray` and `akin.dask` have in common: work that any machine may do, and do again."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import _program
from ._encoder import SentenceEncoder
from .errors import Error

#: How the program says that a part has a writer.
IN_USE = "is being changed by another process"

#: Seconds until a part that had a writer is tried again.
TRY_AGAIN = 0.5

_loaded: Dict[Tuple[str, str], SentenceEncoder] = {}


def encoder(model: str, precision: str, threads: Optional[int]) -> SentenceEncoder:
    """The model, loaded once a process. The first call says how many threads the process computes with."""
    if threads is not None:
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    key = (model, precision)
    if key not in _loaded:
        _loaded[key] = SentenceEncoder(model, precision=precision)
    return _loaded[key]


def encode(texts: Sequence[str], model: str, precision: str, role: str, threads: Optional[int]) -> Any:
    """The vectors of some texts, as documents or queries."""
    loaded = encoder(model, precision, threads)
    return loaded.encode_query(list(texts)) if role == "query" else loaded.encode_document(list(texts))


def index_part(shard: str, part: str, options: List[str], threads: Optional[int]) -> str:
    """Makes an index of one shard, or goes on with it: what is there already is not encoded again. Gives its folder.

    The program of a worker that was killed lives on until its part is done. Its successor waits for it.
    """
    limit = [] if threads is None else ["--threads", str(threads)]
    while True:
        try:
            _program.call("index", part, shard, "--quiet", *options, *limit)
            return part
        except Error as error:
            if IN_USE not in str(error):
                raise
            time.sleep(TRY_AGAIN)


def parts_of(shards: Sequence[Any], folder: Any) -> List[Tuple[str, str]]:
    """Each shard with the folder of its part."""
    root = os.path.abspath(os.path.expanduser(os.fspath(folder)))
    os.makedirs(root, exist_ok=True)
    paths = [os.path.abspath(os.path.expanduser(os.fspath(shard))) for shard in shards]
    names = [os.path.basename(path).split(".")[0] for path in paths]
    if len(set(names)) < len(names):
        raise ValueError("two shards have one name, and parts are named after their shards")
    return [(path, os.path.join(root, name)) for path, name in zip(paths, names)]
