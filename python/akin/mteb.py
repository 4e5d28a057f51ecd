"""Akin in MTEB 2: model wrappers, to run its tasks.

>>> import mteb                                                              # doctest: +SKIP
>>> from akin.mteb import AkinModel                                          # doctest: +SKIP
>>> mteb.evaluate(AkinModel(), mteb.get_tasks(["STSBenchmark", "SciFact"]))  # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import Any, List, Optional, Union

from mteb.models import ModelMeta
from mteb.models.abs_encoder import get_prompt_name
from mteb.models.model_meta import ScoringFunction

import akin
from akin._encoder import DEFAULT_MODEL, Name
from akin.errors import InvalidArgument


class AkinModel:
    """What MTEB asks of an encoder: ``encode`` by the role of the texts, ``similarity``, and what it should know of the model."""

    def __init__(
        self,
        model: Union[Name, akin.SentenceEncoder] = DEFAULT_MODEL,
        revision: Optional[str] = None,
        *,
        device: Any = None,
        **options: Any,
    ) -> None:
        """A model, with the options of :class:`akin.SentenceEncoder`. ``revision`` and ``device`` are MTEB's, and without effect."""
        self.encoder = model if isinstance(model, akin.SentenceEncoder) else akin.SentenceEncoder(model, **options)
        self._meta = _meta(
            self.encoder._name,
            self.encoder.fingerprint,
            max_tokens=self.encoder.max_seq_length,
            embed_dim=self.encoder.dimension,
            similarity_fn_name=ScoringFunction(self.encoder.similarity_fn_name),
        )

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """The model's name, and as its revision what its vectors depend on: MTEB keeps results by both."""
        return self._meta

    def encode(self, inputs: Any, *, task_metadata: Any = None, prompt_type: Any = None, **options: Any) -> Any:
        """The vectors of texts: batches of dicts with ``text``, or a list of str.

        A prompt that the model has for the task, or its kind, comes before that for the role of the texts, as with
        sentence-transformers.
        """
        texts = _texts(inputs)
        prompt = None
        if task_metadata is not None:
            prompts = {name: prompt for name, prompt in self.encoder.prompts.items() if prompt}
            prompt = prompts.get(get_prompt_name(prompts, task_metadata, prompt_type) or "")
        role = getattr(prompt_type, "value", prompt_type)
        if role == "query":
            return self.encoder.encode_query(texts, prompt=prompt)
        if role == "document":
            return self.encoder.encode_document(texts, prompt=prompt)
        return self.encoder.encode(texts, prompt=prompt)

    def similarity(self, first: Any, second: Any) -> Any:
        """How similar each vector of one array is to each of another."""
        return self.encoder.similarity(first, second)

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """How similar each vector is to the one in the same place."""
        return self.encoder.similarity_pairwise(first, second)


class AkinScorer:
    """What MTEB asks of a cross-encoder: ``predict``, for tasks that rank again what was found."""

    def __init__(self, model: Union[Name, akin.CrossEncoder], revision: Optional[str] = None, *, device: Any = None, **options: Any) -> None:
        """A model, with the options of :class:`akin.CrossEncoder`. ``revision`` and ``device`` are MTEB's, and without effect."""
        self.scorer = model if isinstance(model, akin.CrossEncoder) else akin.CrossEncoder(model, **options)
        self._meta = _meta(self.scorer._arguments[0], None, max_tokens=self.scorer.max_length, model_type=["cross-encoder"])

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """The model's name."""
        return self._meta

    def predict(self, inputs1: Any, inputs2: Any, **options: Any) -> Any:
        """The score of each text of the first with the one in the same place of the second."""
        return self.scorer.predict(list(zip(_texts(inputs1), _texts(inputs2))))


def _texts(inputs: Any) -> List[str]:
    texts: List[str] = []
    for one in inputs:
        if isinstance(one, str):
            texts.append(one)
        elif "text" in one:
            texts.extend(one["text"])
        else:
            raise InvalidArgument(f"Akin reads texts, and the task has {', '.join(sorted(one))}: choose a task of texts")
    return texts


def _meta(name: str, revision: Optional[str], **known: Any) -> ModelMeta:
    # MTEB names a model "organization/name", and takes no other.
    parts = [part for part in os.path.normpath(name).split(os.sep) if part]
    of_hub = len(parts) == 2 and not os.path.isabs(name) and not os.path.isdir(name)
    known.update(name="/".join(parts) if of_hub else f"akin/{parts[-1]}", framework=["Sentence Transformers"])
    if revision is not None:
        known["revision"] = revision
    return ModelMeta.create_empty(known)
