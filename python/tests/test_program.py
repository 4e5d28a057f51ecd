"""The command line that the wheel brings."""

import subprocess
import sys

import pytest

import akin
from conftest import python


def run(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "akin", *arguments], capture_output=True, text=True, timeout=120, **options)


def test_the_program_is_the_same():
    version = run("--version")
    assert version.returncode == 0 and version.stdout == f"akin {akin.__version__}\n"
    wrong = run("qery")
    assert wrong.returncode == 2 and "query" in wrong.stderr
    nothing = run("stat", "/nothing/here")
    assert nothing.returncode == 2 and nothing.stderr.startswith("akin: ") and nothing.stderr.count("\n") == 1


def test_a_folder_is_indexed_and_queried(tmp_path, tiny):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The first of two.\n")
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    made = run("index", "--model", tiny, "--json", str(tmp_path / "i"), str(tmp_path / "docs"))
    assert made.returncode == 0, made.stderr
    asked = run("query", str(tmp_path / "i"), "first", stdin=subprocess.DEVNULL)
    assert asked.returncode == 0 and "The first of two." in asked.stdout
    with akin.open(tmp_path / "i") as index:
        assert len(index) == 1


def test_an_error_of_the_program_is_an_exception(tmp_path, tiny):
    with pytest.raises(akin.Error, match="none.tsv"):
        akin.train(output=tmp_path / "o", objective="ranking", train=tmp_path / "none.tsv", base=tiny, quiet=True)


def test_importing_needs_nothing_else():
    code = "import sys, akin; print(sorted(name for name in ('numpy', 'torch', 'asyncio.events', 'pandas') if name in sys.modules))"
    ended = python(code)
    assert "numpy" not in ended.stdout and "torch" not in ended.stdout, ended.stdout
