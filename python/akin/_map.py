"""A map of what an index holds."""

from __future__ import annotations

import html
import os
from typing import Any, Callable, Dict, List, Optional

from . import _program


class CorpusMap:
    """A corpus in the plane: documents that mean nearly the same lie near one another.

    A notebook shows it as it is, to zoom, to search, and to point at. ``save`` writes it as one HTML file that needs nothing else.
    """

    def __init__(self, page: str, documents: int, load: Callable[[], List[Dict[str, Any]]]) -> None:
        self._page = page
        self._documents = documents
        self._load = load
        self._points: Optional[List[Dict[str, Any]]] = None

    @property
    def points(self) -> List[Dict[str, Any]]:
        """For each document a dict with its ``id``, its place ``x`` and ``y``, its ``region``, and the ``words`` of that: laid out again, for
        the page has them packed."""
        if self._points is None:
            self._points = self._load()
        return self._points

    def save(self, path: Any) -> str:
        """Writes the map as an HTML file, and gives its path."""
        path = os.path.expanduser(os.fspath(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._page)
        return str(path)

    def __len__(self) -> int:
        return self._documents

    def __repr__(self) -> str:
        return f"CorpusMap({self._documents:,} documents)"

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self._page)}" style="width:100%;height:32em;border:0" title="map"></iframe>'


def of_index(path: str, documents: int, neighbors: int, seed: int) -> CorpusMap:
    """The map of the index in a folder."""
    import tempfile

    options = ("--neighbors", str(neighbors), "--seed", str(seed))
    with tempfile.TemporaryDirectory(prefix="akin-") as folder:
        page = os.path.join(folder, "map.html")
        _program.call("map", path, "--output", page, *options)
        with open(page, encoding="utf-8") as file:
            return CorpusMap(file.read(), documents, lambda: _program.call("map", path, "--json", *options))
