"""Vectors in fewer bits, as sentence-transformers writes them."""

from __future__ import annotations

from typing import Any

from .errors import InvalidArgument

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def check(precision: Any) -> str:
    """The name of a precision of vectors."""
    name = "float32" if precision in (None, "f32") else str(precision)
    if name not in PRECISIONS:
        raise InvalidArgument(
            f"Precision {precision!r} is not supported: {', '.join(PRECISIONS)} are; "
            "SentenceEncoder(model, precision=\"int8\") computes in 8 bits"
        )
    return name


def quantize(vectors: Any, precision: str) -> Any:
    """Rows of float32 as ``precision``: whole numbers between the least and the greatest of each column, or a bit of each number,
    eight in a byte."""
    import numpy as np

    if precision == "float32":
        return vectors
    if precision in ("binary", "ubinary"):
        packed = np.packbits(vectors > 0, axis=1)
        return packed if precision == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
    if not len(vectors):
        return vectors.astype(precision)
    least, greatest = vectors.min(axis=0), vectors.max(axis=0)
    steps = np.maximum(greatest - least, 1e-12) / 255
    numbers = np.clip((vectors - least) / steps, 0, 255)
    return numbers.astype(np.uint8) if precision == "uint8" else (numbers - 128).astype(np.int8)
