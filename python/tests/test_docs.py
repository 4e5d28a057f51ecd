"""The examples of the docstrings do what they say."""

import doctest
import importlib

import pytest

import akin
from conftest import NOTES

MODULES = ["akin", "akin._index", "akin._encoder", "akin._filter", "akin._mining"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, minilm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with akin.open(tmp_path / "index", create=True, model=minilm) as index:
        index.add(NOTES)
        module = importlib.import_module(name)
        names = {"akin": akin, "index": index, "field": akin.field}
        found = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
        assert found.attempted and not found.failed
