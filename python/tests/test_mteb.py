"""MTEB with models that Akin runs: its own evaluation, over tasks of data that is made here."""

import numpy as np
import pytest

import akin
from conftest import NOTES

mteb = pytest.importorskip("mteb", "2.0", reason="MTEB 2 is not here: pip install mteb")

import datasets  # noqa: E402
from mteb.models.models_protocols import CrossEncoderProtocol, EncoderProtocol  # noqa: E402
from mteb.types import PromptType  # noqa: E402

from akin.mteb import AkinModel, AkinScorer  # noqa: E402

TEXTS = [note["text"] for note in NOTES]


@pytest.fixture(scope="module")
def model(encoder):
    return AkinModel(encoder)


def evaluate(model, task):
    task.data_loaded = True
    return mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results[0].scores["test"][0]


def with_pairs(scores, first, second):
    task = mteb.get_task("STSBenchmark", eval_splits=["test"])
    task.dataset = datasets.DatasetDict(
        test=datasets.Dataset.from_dict({"score": scores, "sentence1": first, "sentence2": second})
    )
    return task


def with_documents(top_ranked=None):
    task = mteb.get_task("SciFact", eval_splits=["test"])
    queries = [{"id": f"q{number}", "text": text} for number, text in enumerate(TEXTS)]
    task.dataset = {
        "default": {
            "test": {
                "corpus": datasets.Dataset.from_list([{"id": note["id"], "title": "", "text": note["text"]} for note in NOTES]),
                "queries": datasets.Dataset.from_list(queries),
                "relevant_docs": {f"q{number}": {note["id"]: 1} for number, note in enumerate(NOTES)},
                "top_ranked": top_ranked,
            }
        }
    }
    return task


def test_mteb_takes_both(model, scorer, encoder):
    assert isinstance(model, EncoderProtocol) and isinstance(AkinScorer(scorer), CrossEncoderProtocol)
    meta = model.mteb_model_meta
    assert meta.name == "akin/tiny-bert" and meta.revision == encoder.fingerprint and meta.embed_dim == encoder.dimension
    assert AkinScorer(scorer).mteb_model_meta.name == "akin/model"


def test_similarity_has_the_score_of_its_own_vectors(model, encoder):
    first, second = TEXTS, [*TEXTS[1:], "A woman rides."]
    cosines = encoder.similarity_pairwise(encoder.encode(first), encoder.encode(second))
    scores = evaluate(model, with_pairs([5 * float(cosine) for cosine in cosines], first, second))
    assert scores["cosine_spearman"] > 0.999 and scores["spearman"] > 0.999
    scores = evaluate(model, with_pairs([-float(cosine) for cosine in cosines], first, second))
    assert scores["main_score"] < -0.999


def test_a_text_finds_itself(model):
    scores = evaluate(model, with_documents())
    assert scores["ndcg_at_10"] == 1 and scores["main_score"] == 1


def test_a_scorer_ranks_again(scorer):
    ranked = {f"q{number}": [note["id"] for note in NOTES] for number in range(len(NOTES))}
    scores = evaluate(AkinScorer(scorer), with_documents(ranked))
    places = [[one["corpus_id"] for one in scorer.rank(text, TEXTS)].index(number) for number, text in enumerate(TEXTS)]
    assert scores["mrr_at_10"] == pytest.approx(np.mean([1 / (1 + place) for place in places]), abs=1e-4)


def test_prompts_of_tasks_and_roles_are_put_before_texts(tiny):
    encoder = akin.SentenceEncoder(tiny, prompts={"STSBenchmark": "of the task: ", "query": "q: ", "STS": "of its kind: "})
    metadata = mteb.get_task("STSBenchmark").metadata
    model = AkinModel(encoder)
    batches = [{"text": TEXTS[:2]}, {"text": TEXTS[2:3]}]
    for task, role, prompt in [(metadata, None, "of the task: "), (None, PromptType.query, "q: "), (None, None, "")]:
        found = model.encode(batches, task_metadata=task, prompt_type=role, batch_size=2)
        assert np.allclose(found, encoder.encode([prompt + text for text in TEXTS[:3]]), atol=1e-6)
    other = mteb.get_task("SciFact").metadata
    assert np.allclose(
        model.encode(batches, task_metadata=other, prompt_type=PromptType.query),
        encoder.encode(["q: " + text for text in TEXTS[:3]]),
        atol=1e-6,
    )


def test_tasks_of_something_else_are_refused(model):
    with pytest.raises(akin.InvalidArgument, match="the task has image: choose a task of texts"):
        model.encode([{"image": [1]}])
