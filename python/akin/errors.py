"""What can go wrong, as exceptions.

Each message is one sentence: what is wrong, where, and what to do about it. All are an :class:`Error`; those that have a
counterpart among Python's own are that too, so ``except ValueError`` and ``except FileNotFoundError`` do what one expects.
"""


class Error(Exception):
    """What can go wrong in Akin."""


class InvalidArgument(Error, ValueError):
    """Something was asked for that cannot be."""


class Closed(Error, ValueError):
    """The index was closed."""


class Forked(Error, RuntimeError):
    """The process was forked after Akin was used in its parent."""


class Cancelled(Error):
    """The call was stopped. The last commit stands."""


class IndexNotFound(Error, FileNotFoundError):
    """There is no index at the path."""


class IndexInUse(Error):
    """Another process, or another object of this one, changes the index."""


class IndexDamaged(Error):
    """A stored byte does not hold its checksum."""


class IndexFormatError(Error):
    """The index has a format that this version does not read."""


class ReadError(Error, OSError):
    """A file cannot be read."""


class WriteError(Error, OSError):
    """The disk takes no more. What was committed before is safe."""


class EngineError(Error, ConnectionError):
    """The server of a table or collection cannot be reached, or refuses something."""


class DocumentNotFound(Error, LookupError):
    """No document has the id."""


class DimensionError(InvalidArgument):
    """A vector has another length than those of the index."""


class FilterError(InvalidArgument):
    """The expression of a filter cannot be read."""


class CorpusError(Error, ValueError):
    """A file of documents is not what its format promises."""


class ModelError(Error):
    """A model cannot be used."""


class ModelNotFound(ModelError, FileNotFoundError):
    """A model cannot be found or downloaded."""


class OtherModel(ModelError, ValueError):
    """The index was built with another model, or with other prompts or dimensions of it."""
