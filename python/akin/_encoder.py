"""Texts to vectors, and pairs of texts to scores."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from . import _akin, _progress, _quantize
from .errors import InvalidArgument

Texts = Union[str, Sequence[str]]
Name = Union[str, "os.PathLike[str]"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceEncoder:
    """A sentence-transformers model: texts become vectors that are near where the texts mean the same.

    The call is that of ``sentence_transformers.SentenceTransformer``, and so are the vectors, to 1e-5 of their cosine.

    >>> encoder = akin.SentenceEncoder()
    >>> vectors = encoder.encode(["A man is eating food.", "Someone has a meal.", "The moon is full."])
    >>> vectors.shape
    (3, 384)
    >>> scores = encoder.similarity(vectors[:1], vectors[1:])
    >>> bool(scores[0, 0] > scores[0, 1])
    True
    """

    def __init__(
        self,
        model: Name = DEFAULT_MODEL,
        *,
        precision: str = "f32",
        truncate_dim: Optional[int] = None,
        query_prompt: Optional[str] = None,
        document_prompt: Optional[str] = None,
        prompts: Optional[Dict[str, str]] = None,
        default_prompt_name: Optional[str] = None,
    ) -> None:
        """Loads a model.

        :param model: a directory, or a model of the hub, which is downloaded once.
        :param precision: "f32" as the reference, "int8" several times as fast, "bf16" where the processor multiplies such.
        :param truncate_dim: how many numbers of each vector to keep, of a Matryoshka model.
        :param query_prompt: what is put before each query, in place of the model's own prompt.
        :param document_prompt: what is put before each document.
        :param prompts: prompts by name, in place of the model's own.
        :param default_prompt_name: the name of the prompt that ``encode`` puts before each text.
        :raises ModelNotFound: if there is no such model.
        :raises ModelError: if it cannot be used; the sentence names the file at fault.
        """
        self._name = os.fspath(model)
        named = prompts or {}
        query_prompt = named.get("query") if query_prompt is None else query_prompt
        document_prompt = named.get("document") if document_prompt is None else document_prompt
        self._native = _akin.Encoder(self._name, precision, query_prompt, document_prompt, truncate_dim)
        self._prompts: Optional[Dict[str, str]] = None if prompts is None else dict(prompts)
        self.default_prompt_name = default_prompt_name
        self._arguments: Tuple[Any, ...] = (
            self._name, precision, truncate_dim, query_prompt, document_prompt, self._prompts, default_prompt_name
        )
        if default_prompt_name is not None:
            self._prompt(default_prompt_name)

    @classmethod
    def _of(cls, native: _akin.Encoder, name: Optional[str] = None) -> SentenceEncoder:
        encoder = cls.__new__(cls)
        encoder._name = name or native.directory
        encoder._arguments = (encoder._name, native.precision, native.dimension, None, None, None, None)
        encoder._native = native
        encoder._prompts = None
        encoder.default_prompt_name = None
        return encoder

    def encode(
        self,
        sentences: Texts,
        prompt_name: Optional[str] = None,
        prompt: Optional[str] = None,
        batch_size: Optional[int] = None,
        show_progress_bar: _progress.Progress = False,
        output_value: Optional[str] = "sentence_embedding",
        precision: Optional[str] = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: Optional[int] = None,
        **unused: Any,
    ) -> Any:
        """The vectors of texts, as ``SentenceTransformer.encode`` gives them.

        :param sentences: a text, or a list of texts.
        :param prompt_name: the name of a prompt of the model, which is put before each text.
        :param prompt: a prompt itself.
        :param batch_size: accepted and not needed: texts are batched by their tokens.
        :param precision: of the vectors that are given: "float32", "int8", "uint8", "binary" or "ubinary".
        :param show_progress_bar: whether to show a bar, or what to call with (phase, done, total).
        :param convert_to_numpy: whether to give one array; else a list, of tensors where torch was imported and else of arrays.
        :param convert_to_tensor: whether to give a tensor of torch.
        :param normalize_embeddings: whether to divide each vector by its length.
        :param truncate_dim: how many numbers of each vector to keep.
        :param output_value: "sentence_embedding"; "token_embeddings" for the vectors of the tokens, before they are pooled: of each text an array of
            shape (tokens, hidden); ``None`` for a dict of each text with ``input_ids``, ``attention_mask``, ``token_embeddings`` and
            ``sentence_embedding``. Texts are not padded to the longest of a batch. Arrays are tensors where torch was imported.
        :returns: an array of float32 and shape (texts, dimension); of shape (dimension,) for one text.
        """
        _refuse(unused)
        if output_value not in ("sentence_embedding", "token_embeddings", None):
            raise InvalidArgument(f'output_value={output_value!r} is not known: "sentence_embedding", "token_embeddings" and None are')
        if prompt is None and (prompt_name or self.default_prompt_name) is not None:
            prompt = self._prompt(prompt_name or self.default_prompt_name or "")
        if output_value != "sentence_embedding":
            if _quantize.check(precision) != "float32":
                raise InvalidArgument(f'precision={precision!r} is for output_value="sentence_embedding": leave it out')
            found = self._tokens(sentences, prompt, show_progress_bar, None if output_value else (truncate_dim,))
            return found[0] if isinstance(sentences, str) else found
        shape = (convert_to_numpy, convert_to_tensor, normalize_embeddings, truncate_dim, _quantize.check(precision))
        return self._encode(sentences, prompt, None, show_progress_bar, *shape)

    def encode_query(self, sentences: Texts, **options: Any) -> Any:
        """The same for queries: after the model's prompt for queries, if it has one."""
        return self._encode_as("query", sentences, **options)

    def encode_document(self, sentences: Texts, **options: Any) -> Any:
        """The same for documents: after the model's prompt for documents, if it has one."""
        return self._encode_as("document", sentences, **options)

    def _encode_as(
        self,
        role: str,
        sentences: Texts,
        prompt_name: Optional[str] = None,
        prompt: Optional[str] = None,
        show_progress_bar: _progress.Progress = False,
        precision: Optional[str] = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: Optional[int] = None,
        **unused: Any,
    ) -> Any:
        _refuse(unused)
        if prompt is None and prompt_name is not None:
            prompt = self._prompt(prompt_name)
        shape = (convert_to_numpy, convert_to_tensor, normalize_embeddings, truncate_dim, _quantize.check(precision))
        return self._encode(sentences, prompt, role, show_progress_bar, *shape)

    def _encode(
        self,
        sentences: Texts,
        prompt: Optional[str],
        role: Optional[str],
        progress: _progress.Progress,
        as_array: bool,
        as_tensor: bool,
        normalized: bool,
        kept: Optional[int],
        precision: str,
    ) -> Any:
        is_one = isinstance(sentences, str)
        texts = _texts(sentences)
        hears = _progress.begin(progress or False, "text")
        try:
            vectors: Any = self._native.encode(texts, prompt, role, hears)
        finally:
            _progress.end(hears)
        if kept is not None:
            if not 0 < kept <= vectors.shape[1]:
                raise InvalidArgument(f"truncate_dim={kept}, and the model's vectors have {vectors.shape[1]} numbers")
            vectors = vectors[:, :kept]
        if normalized:
            import numpy as np

            lengths: Any = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, 1e-12)
        vectors = _quantize.quantize(vectors, precision)
        if as_tensor or (not as_array and "torch" in sys.modules):
            import torch

            vectors = torch.from_numpy(vectors)
        if is_one:
            return vectors[0]
        return vectors if as_array or as_tensor else list(vectors)

    def _tokens(
        self, sentences: Texts, prompt: Optional[str], progress: _progress.Progress, whole: Optional[Tuple[Optional[int]]]
    ) -> List[Any]:
        """The vectors of the tokens of each text; in a dict with what else is computed, and the vector of the text, if ``whole``."""
        texts = _texts(sentences)
        hears = _progress.begin(progress or False, "text")
        try:
            found = self._native.tokens(texts, prompt, None, hears)
        finally:
            _progress.end(hears)
        given: Callable[[Any], Any] = _same
        if "torch" in sys.modules:
            import torch

            given = torch.from_numpy
        if whole is None:
            return [given(vectors) for _, vectors in found]
        import numpy as np

        embeddings = self._encode(texts, prompt, None, False, True, False, False, whole[0], "float32")
        return [
            {
                "input_ids": given(ids),
                "attention_mask": given(np.ones_like(ids)),
                "token_embeddings": given(vectors),
                "sentence_embedding": given(embedding),
            }
            for (ids, vectors), embedding in zip(found, embeddings)
        ]

    @property
    def prompts(self) -> Dict[str, str]:
        """The prompts of the model by their names."""
        if self._prompts is None:
            self._prompts = {"query": "", "document": "", **_prompts_in(self._native.directory)}
        return self._prompts

    @prompts.setter
    def prompts(self, prompts: Dict[str, str]) -> None:
        self._prompts = dict(prompts)

    def _prompt(self, name: str) -> str:
        if name not in self.prompts:
            known = ", ".join(repr(known) for known in self.prompts) or "none"
            raise InvalidArgument(f"the model has no prompt of the name {name!r} (it has {known}): give the text itself as prompt=")
        return self.prompts[name]

    def similarity(self, first: Any, second: Any) -> Any:
        """How similar each vector of ``first`` is to each of ``second``, by the model's own similarity: shape (first, second)."""
        import numpy as np

        from ._arrays import matrix, unit

        if getattr(first, "ndim", 2) == 1:
            first = first.reshape(1, -1)
        if getattr(second, "ndim", 2) == 1:
            second = second.reshape(1, -1)
        name = self._native.similarity
        if name == "cosine":
            return unit(first, "the vectors") @ unit(second, "the vectors").T
        first, second = matrix(first, "the vectors"), matrix(second, "the vectors")
        if name == "dot":
            return first @ second.T
        order = 1 if name == "manhattan" else 2
        return -np.stack([np.linalg.norm(second - one, ord=order, axis=1) for one in first])

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """How similar each vector of ``first`` is to the one in the same place of ``second``: shape (vectors,)."""
        import numpy as np

        from ._arrays import matrix, unit

        name = self._native.similarity
        made = unit if name == "cosine" else matrix
        first, second = made(first, "the vectors"), made(second, "the vectors")
        if first.shape != second.shape:
            raise InvalidArgument(f"the vectors have the shapes {first.shape} and {second.shape}: pairs need the same")
        if name in ("cosine", "dot"):
            return np.einsum("ij,ij->i", first, second)
        return -np.linalg.norm(first - second, ord=1 if name == "manhattan" else 2, axis=1)

    def tokenize_lengths(self, texts: Texts) -> List[int]:
        """How many tokens the model reads of each text."""
        return self._native.count_tokens(_texts(texts))

    @property
    def max_seq_length(self) -> int:
        """The longest text that is read whole, in tokens."""
        return self._native.max_tokens

    def get_max_seq_length(self) -> int:
        """The same, as sentence-transformers calls it."""
        return self._native.max_tokens

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._native.dimension

    def get_sentence_embedding_dimension(self) -> int:
        """The same, as sentence-transformers calls it."""
        return self._native.dimension

    get_embedding_dimension = get_sentence_embedding_dimension

    @property
    def device(self) -> Any:
        """Where it computes: on the processor, as torch calls it where it was imported."""
        return _device()

    @property
    def similarity_fn_name(self) -> str:
        """How the model compares its vectors: "cosine", "dot", "euclidean" or "manhattan"."""
        return self._native.similarity

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on: SHA-256 over weights, tokenizer and settings."""
        return self._native.fingerprint

    @property
    def directory(self) -> str:
        """Where the model was loaded from."""
        return self._native.directory

    def __repr__(self) -> str:
        return f"SentenceEncoder({self._name!r})"

    def __reduce__(self) -> Tuple[Callable[..., Any], Tuple[Any, ...]]:
        return _load_encoder, self._arguments


_WITHOUT_EFFECT = {"batch_size", "chunk_size", "device", "num_workers", "pool"}
"""What sentence-transformers takes and needs no answer here: how its work is divided."""


def _refuse(unused: Dict[str, Any]) -> None:
    for name, value in unused.items():
        if name not in _WITHOUT_EFFECT and value is not None:
            raise TypeError(f"{name}= is not known: look at help() for what is")


def _same(array: Any) -> Any:
    return array


def _device() -> Any:
    if "torch" in sys.modules:
        import torch

        return torch.device("cpu")
    return "cpu"


def _prompts_in(directory: str) -> Dict[str, str]:
    import json

    path = os.path.join(directory, "config_sentence_transformers.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return dict(json.load(file).get("prompts") or {})


def _load_encoder(
    model: str,
    precision: str,
    dimensions: Optional[int],
    query: Optional[str],
    document: Optional[str],
    prompts: Optional[Dict[str, str]],
    default: Optional[str],
) -> SentenceEncoder:
    return SentenceEncoder(
        model,
        precision=precision,
        truncate_dim=dimensions,
        query_prompt=query,
        document_prompt=document,
        prompts=prompts,
        default_prompt_name=default,
    )


class CrossEncoder:
    """A cross-encoder: it reads two texts together, and scores how well they go together.

    The calls are those of ``sentence_transformers.CrossEncoder``, for models with one score.

    >>> scorer = akin.CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2")      # doctest: +SKIP
    >>> scorer.predict([("How tall is it?", "It is 330 metres tall.")])        # doctest: +SKIP
    array([9.1], dtype=float32)
    """

    def __init__(self, model: Name, *, precision: str = "f32") -> None:
        """Loads a model: a directory, or one of the hub, in numbers of a precision ("f32", "int8", "bf16")."""
        self._arguments = (os.fspath(model), precision)
        self._native = _akin.Scorer(*self._arguments)

    def predict(
        self,
        sentences: Any,
        batch_size: Optional[int] = None,
        show_progress_bar: _progress.Progress = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        **unused: Any,
    ) -> Any:
        """The score of each pair of texts, by the model's own activation.

        :param sentences: a list of pairs of texts, or one pair.
        :returns: an array of float32 and shape (pairs,); a single number for one pair.
        """
        _refuse(unused)
        pairs = list(sentences)
        is_one = len(pairs) == 2 and all(isinstance(text, str) for text in pairs)
        if is_one:
            pairs = [tuple(pairs)]
        checked: List[Tuple[str, str]] = []
        for number, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2:
                raise InvalidArgument(f"pair {number} is not two texts: give a list of pairs (text, text)")
            checked.append((_text(pair[0], number), _text(pair[1], number)))
        hears = _progress.begin(show_progress_bar or False, "pair")
        try:
            scores: Any = self._native.score(checked, hears)
        finally:
            _progress.end(hears)
        if convert_to_tensor:
            import torch

            scores = torch.from_numpy(scores)
        elif not convert_to_numpy:
            if "torch" in sys.modules:
                import torch

                scores = torch.from_numpy(scores)
            scores = list(scores)
        return scores[0] if is_one else scores

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: Optional[int] = None,
        return_documents: bool = False,
        **options: Any,
    ) -> List[Dict[str, Any]]:
        """The documents in the order of their scores for a query: dicts with ``corpus_id``, ``score``, and ``text`` if asked for."""
        scores = self.predict([(query, document) for document in documents], **options)
        ranked = sorted(range(len(documents)), key=lambda place: -float(scores[place]))[:top_k]
        return [
            {"corpus_id": place, "score": float(scores[place]), **({"text": documents[place]} if return_documents else {})}
            for place in ranked
        ]

    num_labels = 1

    @property
    def device(self) -> Any:
        """Where it computes: on the processor, as torch calls it where it was imported."""
        return _device()

    @property
    def max_length(self) -> int:
        """The longest pair that is read whole, in tokens."""
        return self._native.max_tokens

    def __repr__(self) -> str:
        return f"CrossEncoder({self._arguments[0]!r})"

    def __reduce__(self) -> Tuple[Callable[..., Any], Tuple[Any, ...]]:
        return _load_cross_encoder, self._arguments


def _load_cross_encoder(model: str, precision: str) -> CrossEncoder:
    return CrossEncoder(model, precision=precision)


def _texts(texts: Any) -> List[str]:
    if isinstance(texts, str):
        return [texts]
    if texts is None or isinstance(texts, (bytes, bytearray, dict)):
        raise TypeError(f"texts must be a str or a list of str, and are of type {type(texts).__name__}")
    return [_text(text, number) for number, text in enumerate(texts)]


def _text(text: Any, number: int) -> str:
    if isinstance(text, str):
        return text
    raise TypeError(f"text {number} must be a str, and is of type {type(text).__name__}")
