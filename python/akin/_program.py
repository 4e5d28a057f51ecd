"""The command line: the same program as `akin`, and what runs it for Python."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Union

from .errors import Error


def run(arguments: Optional[Sequence[str]] = None) -> int:
    """Does what the arguments say, as the program ``akin``, and gives its exit status."""
    import signal

    from . import _akin

    # The program hears Ctrl-C itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.stdout.flush()
    return _akin.main(["akin", *given], sys.executable)


def main() -> None:
    """What the script ``akin`` calls."""
    status = run()
    # Nothing of Python is left to be done, and its end takes longer than a short command.
    os._exit(status)


def call(*arguments: Union[str, "os.PathLike[str]"], quiet: bool = True) -> List[Any]:
    """Runs the program in a process of its own, and gives the JSON lines that it prints.

    :raises Error: with the sentence that it says if it fails.
    """
    import json
    import signal
    import subprocess

    command = [sys.executable, "-m", "akin", *(os.fspath(argument) for argument in arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None, encoding="utf-8"
    )
    try:
        output, said = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if process.returncode:
        lines = (said or "").strip().splitlines()
        told = [line for line in lines if line.startswith(("akin: ", "error: "))] or lines[-1:]
        sentence = told[-1] if told else f"akin {arguments[0]} ended with status {process.returncode}"
        raise Error(sentence.split(": ", 1)[-1])
    return [json.loads(line) for line in output.splitlines() if line.startswith(("{", "["))]


def _options(options: Dict[str, Any]) -> List[str]:
    """Options of Python as those of the command line: ``batch_size=16`` is ``--batch-size 16``."""
    given: List[str] = []
    for name, value in options.items():
        flag = "--" + name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            given.append(flag)
        elif isinstance(value, (list, tuple)):
            for one in value:
                given += [flag, os.fspath(one) if isinstance(one, os.PathLike) else str(one)]
        else:
            given += [flag, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    return given


def train(*, output: Union[str, "os.PathLike[str]"], quiet: bool = False, **options: Any) -> str:
    """Trains a model as ``akin train`` does, and gives the directory that it is in.

    Each option has the name of one of ``akin train --help``, with ``_`` for ``-``.

    :param output: the directory to write.
    :param quiet: whether the program's progress is hidden.

    >>> akin.train(objective="ranking", train="pairs.tsv", epochs=1, output="mine")  # doctest: +SKIP
    """
    call("train", *_options({"output": output, **options}), quiet=quiet)
    return os.fspath(output)


def evaluate(task: str, *files: Union[str, "os.PathLike[str]"], **options: Any) -> List[Any]:
    """Evaluates a model as ``akin eval`` does, and gives the figures as dicts.

    :param task: the task, as ``akin eval --help`` names it: "sts", "triplets", "retrieval", …
    :param files: the files of the task.

    >>> akin.evaluate("sts", "stsb/test.tsv", model="all-MiniLM-L6-v2")  # doctest: +SKIP
    """
    return call("eval", task, *files, *_options({"json": True, **options}))
