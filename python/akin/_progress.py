"""A bar that shows how far a long call is."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Optional, Union

Progress = Union[bool, None, Callable[[str, int, int], Any]]
"""Whether to show a bar (``None``: where somebody looks at a terminal or a notebook), or what to call with a phase, how much is
done and how much there is (0 where that is not known)."""

Hears = Optional[Callable[[str, int, int], Any]]


def begin(progress: Progress, unit: str = "it") -> Optional[Callable[[str, int, int], Any]]:
    """What a native call tells its progress to."""
    if callable(progress):
        return progress
    if progress is False or (progress is None and not _is_watched()):
        return None
    return _Bar(unit)


def _is_watched() -> bool:
    if "ipykernel" in sys.modules:
        return True
    return bool(sys.stderr is not None and sys.stderr.isatty())


SHORT = 0.3
"""Seconds of a call that shows no bar: one that comes and goes leaves empty lines in a notebook."""


class _Bar:
    """A line on stderr as tqdm draws it, and tqdm itself where it is there."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None
        self._phase = ""
        self._begin = time.monotonic()
        self._make: Any = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        if self._bar is None and time.monotonic() - self._begin < SHORT:
            return
        if phase != self._phase or (self._bar is not None and self._bar.total != (total or None)):
            self.close()
            self._phase = phase
            self._make = self._make or _maker()
            self._bar = self._make(desc=phase, total=total or None, unit=self._unit, leave=False)
        bar: Any = self._bar
        bar.n = done
        bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _maker() -> Any:
    """What makes a bar: tqdm's for a notebook where that can be drawn, and else a line."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tqdm warns where a notebook has no widgets, and draws a line then
            from tqdm.auto import tqdm
    except ImportError:
        return _Line
    return tqdm


class _Line:
    """What is needed of tqdm."""

    def __init__(self, desc: str, total: Optional[int], unit: str, leave: bool) -> None:
        self.desc, self.total, self.unit = desc, total, unit
        self.n = 0
        self._begin = time.monotonic()

    def refresh(self) -> None:
        spent = time.monotonic() - self._begin
        rate = self.n / spent if spent > 0 else 0.0
        if self.total:
            share = min(self.n / self.total, 1.0)
            left = (self.total - self.n) / rate if rate > 0 else 0.0
            bar = "█" * int(share * 20) + " " * (20 - int(share * 20))
            line = f"{self.desc}: {share:4.0%}|{bar}| {self.n}/{self.total} [{_time(spent)}<{_time(left)}, {rate:.1f}{self.unit}/s]"
        else:
            line = f"{self.desc}: {self.n}{self.unit} [{_time(spent)}, {rate:.1f}{self.unit}/s]"
        sys.stderr.write("\r\x1b[K" + line)
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _time(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes:02d}:{seconds:02d}"


def end(hears: Optional[Callable[..., Any]]) -> None:
    """Takes the bar away."""
    if isinstance(hears, _Bar):
        hears.close()
