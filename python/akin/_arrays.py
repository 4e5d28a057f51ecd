"""What may stand for vectors, as arrays of float32."""

from __future__ import annotations

from typing import Any

from .errors import DimensionError, InvalidArgument


def matrix(values: Any, what: str) -> Any:
    """An array of float32 and shape (rows, numbers), in C order."""
    import numpy as np

    if hasattr(values, "detach"):  # a tensor of torch
        values = values.detach().cpu().numpy()
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
            array = np.asarray(values, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{what} must be an array of numbers of shape (rows, numbers): {error}") from None
    if array.size == 0 and array.ndim < 2:
        array = array.reshape(0, 1)
    if array.ndim != 2:
        raise InvalidArgument(f"{what} must have the shape (rows, numbers), and has {array.shape}")
    if array.shape[0] and not array.shape[1]:
        raise InvalidArgument(f"{what} have no numbers: their shape is {array.shape}")
    return array


def row(values: Any, what: str, dimension: int) -> Any:
    """A vector as an array of float32 and shape (1, numbers)."""
    import numpy as np

    if type(values) is np.ndarray and values.dtype == np.float32 and values.shape == (dimension,) and values.flags.c_contiguous:
        return values.reshape(1, dimension)
    given: Any = values
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(given, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{what} must be numbers: {error}") from None
    if array.ndim == 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 1:
        raise InvalidArgument(f"{what} must have the shape ({dimension},), and has {array.shape}")
    if array.shape[0] != dimension:
        raise DimensionError(f"{what} has {array.shape[0]} numbers, and those of the index have {dimension}")
    return array.reshape(1, dimension)


def unit(values: Any, what: str) -> Any:
    """Rows divided by their length, as an array of float32."""
    import numpy as np

    array = matrix(values, what)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    return np.ascontiguousarray(array / np.maximum(length, 1e-12), dtype=np.float32)


def finite(array: Any, what: str) -> Any:
    """The array, if all of its numbers are finite."""
    import numpy as np

    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise InvalidArgument(f"row {wrong[0]} of {what} has a value that is no finite number")
    return array
