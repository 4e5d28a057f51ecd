"""What a notebook shows of hits: a table with marked passages."""

from __future__ import annotations

import html
from typing import Any, List, Tuple

SHOWN = 600
"""Characters of a passage that are shown."""

_STYLE = (
    "<style>.akin-hits{border-collapse:collapse;font:14px/1.5 system-ui,sans-serif;max-width:60em}"
    ".akin-hits th,.akin-hits td{text-align:left;vertical-align:top;padding:.4em .8em;border-bottom:1px solid #8884}"
    ".akin-hits td.n{font-variant-numeric:tabular-nums;white-space:nowrap;opacity:.75}"
    ".akin-hits mark{background:#ffe08a88;color:inherit;border-radius:.2em}"
    ".akin-hits small{opacity:.7}</style>"
)


def table(hits: Any) -> str:
    """The hits as HTML. Texts are shown as they are, never as HTML."""
    if not len(hits):
        return "<p>no hits</p>"
    rows = [_row(hit, mark) for hit, mark in zip(hits, hits.marks())]
    head = "<tr><th></th><th>score</th><th>id</th><th>text</th></tr>"
    return f'{_STYLE}<table class="akin-hits"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _row(hit: Any, mark: Tuple[Any, Any, List[Any]]) -> str:
    (first, last), sentence, words = mark
    start, end = first, min(last, first + SHOWN)
    if sentence is not None and sentence[1] > end:
        start = max(first, sentence[0] - SHOWN // 4)
        end = min(last, start + SHOWN)
    before, after = "…" if start > 0 else "", "…" if end < len(hit.text) else ""
    text = before + _marked(hit.text, start, end, sentence, words) + after
    fields = " · ".join(f"{html.escape(name)}: {html.escape(str(value))}" for name, value in list(hit.metadata.items())[:6])
    fields = f"<br><small>{fields}</small>" if fields else ""
    return (
        f'<tr><td class="n">{hit.rank}</td><td class="n">{hit.score:.4f}</td><td>{html.escape(hit.id)}</td>'
        f"<td>{text}{fields}</td></tr>"
    )


def _marked(text: str, start: int, end: int, sentence: Any, words: List[Any]) -> str:
    """A part of a text with its sentence marked and the words of the query bold."""
    cuts = {start, end}
    for span in [*words, *([sentence] if sentence else [])]:
        cuts.update(place for place in span if start < place < end)
    places = sorted(cuts)
    shown = []
    for here, there in zip(places, places[1:]):
        piece = html.escape(text[here:there])
        if any(first <= here and there <= last for first, last in words):
            piece = f"<b>{piece}</b>"
        if sentence and sentence[0] <= here and there <= sentence[1]:
            piece = f"<mark>{piece}</mark>"
        shown.append(piece)
    return "".join(shown)
