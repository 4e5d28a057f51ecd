"""The bar of a long call."""

import sys
import warnings

import pytest

from akin import _progress


@pytest.fixture(params=["with tqdm", "alone"])
def bar(request, monkeypatch):
    if request.param == "alone":
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    else:
        pytest.importorskip("tqdm")
        monkeypatch.delitem(sys.modules, "tqdm.auto", raising=False)
    return _progress.begin(True, "document")


def test_a_short_call_shows_nothing(bar, capsys):
    bar("indexing", 0, 4)
    bar("indexing", 4, 4)
    _progress.end(bar)
    assert capsys.readouterr() == ("", "")


def test_a_long_call_shows_how_far_it_is_and_takes_the_bar_away(bar, capsys, monkeypatch):
    monkeypatch.setattr(_progress, "SHORT", 0.0)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        bar("indexing", 1, 4)
        bar("graph", 2, 8)
    assert not warned
    shown = capsys.readouterr().err
    assert "indexing:  25%" in shown and "| 1/4 [" in shown and "graph:  25%" in shown and "document/s" in shown
    _progress.end(bar)
    assert capsys.readouterr().err.rstrip("\r\x1b[K ") == ""


def test_a_call_that_nobody_watches_shows_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert _progress.begin(None) is None and _progress.begin(False) is None
    assert _progress.begin(print) is print
