"""What tests share: the tiny model of the fixtures, and an index of some notes."""

import pathlib
import sys

import pytest

import akin

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "fixtures" / "models" / "tiny-bert"

NOTES = [
    {"id": "food", "text": "A man is eating food.", "kind": "meal", "year": 1990},
    {"id": "bread", "text": "A man is eating a piece of bread.", "kind": "meal", "year": 2001},
    {"id": "girl", "text": "The girl is carrying a baby.", "kind": "family", "year": 1985},
    {"id": "horse", "text": "A man is riding a horse.", "kind": "animal", "year": 2010},
    {"id": "guitar", "text": "A woman is playing the guitar.", "kind": "music", "year": 1999},
]


@pytest.fixture(scope="session")
def tiny():
    """The directory of a tiny model with random weights."""
    assert TINY.is_dir(), f"{TINY} is a fixture of the project"
    return str(TINY)


@pytest.fixture(scope="session")
def encoder(tiny):
    return akin.SentenceEncoder(tiny)


@pytest.fixture(scope="session")
def minilm():
    """all-MiniLM-L6-v2, where it is on this machine."""
    try:
        return akin.SentenceEncoder("all-MiniLM-L6-v2")
    except akin.ModelNotFound as error:
        pytest.skip(f"all-MiniLM-L6-v2 is not here: {error}")


@pytest.fixture
def index(tmp_path, encoder):
    """An index of the notes by the tiny model."""
    with akin.open(tmp_path / "notes", create=True, model=encoder, passages=40) as index:
        index.add(NOTES)
        yield index


@pytest.fixture
def vectors(tmp_path):
    """An index of vectors from elsewhere: 300 random ones of 16 numbers."""
    import numpy as np

    rows = np.random.default_rng(1).standard_normal((300, 16)).astype(np.float32)
    with akin.open(tmp_path / "vectors", create=True, dimension=16) as index:
        index.add([""] * 300, ids=range(300), vectors=rows)
        yield index, rows


def python(code: str, *arguments: str, timeout: float = 120):
    """Runs Python code in a process of its own."""
    import subprocess

    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="session")
def scorer(tmp_path_factory, tiny):
    """A cross-encoder: the tiny model with a head of random numbers."""
    folder = tmp_path_factory.mktemp("scorer") / "model"
    return akin.CrossEncoder(make_scorer(tiny, folder))


def make_scorer(tiny, folder):
    """Writes the tiny model with a head of one score."""
    import json
    import shutil
    import struct

    import numpy as np

    shutil.copytree(tiny, folder)
    for file in ("modules.json", "sentence_bert_config.json"):
        (folder / file).unlink()
    settings = json.loads((folder / "config.json").read_text())
    settings.update(architectures=["BertForSequenceClassification"], id2label={"0": "LABEL_0"})
    (folder / "config.json").write_text(json.dumps(settings))
    content = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    tensors = {f"bert.{name}": (one["shape"], data[slice(*one["data_offsets"])]) for name, one in header.items()}
    random = np.random.default_rng(2019)
    for name, shape in [("bert.pooler.dense", (32, 32)), ("classifier", (1, 32))]:
        tensors[f"{name}.weight"] = (list(shape), random.standard_normal(shape).astype("<f4").tobytes())
        tensors[f"{name}.bias"] = (list(shape[:1]), random.standard_normal(shape[0]).astype("<f4").tobytes())
    header, at = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(values)]}
        at += len(values)
    head = json.dumps(header).encode()
    body = b"".join(values for _, values in tensors.values())
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + body)
    return folder
