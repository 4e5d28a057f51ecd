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


class _Bar:
    """A line on stderr as tqdm draws it, and tqdm itself where it is there."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None
        self._phase = ""
        try:
            from tqdm.auto import tqdm

            self._make: Any = tqdm
        except ImportError:
            self._make = _Line

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase or (self._bar is not None and self._bar.total != (total or None)):
            self.close()
            self._phase = phase
            self._bar = self._make(desc=phase, total=total or None, unit=self._unit, leave=False)
        bar: Any = self._bar
        bar.n = done
        bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


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
