"""A report: one self-contained HTML page of text, figures, tables and code."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..vocabulary.errors import InputError
from ..vocabulary.files import replacing
from .animations import Film

SHARP = 144  # dots per inch of embedded figures; a page counts 96 to the inch


@dataclass(frozen=True)
class Heading:
    """A heading between sections."""

    text: str

    def html(self) -> str:
        """The heading as HTML."""
        return f"<h2>{escape(self.text)}</h2>"


@dataclass(frozen=True)
class Text:
    """Plain text; an empty line begins a new paragraph."""

    text: str

    def html(self) -> str:
        """The paragraphs as HTML."""
        return "\n".join(f"<p>{escape(part.strip())}</p>" for part in self.text.split("\n\n") if part.strip())


@dataclass(frozen=True)
class Picture:
    """A figure or a film with the words below it and the words for those who cannot see it."""

    figure: Figure | Film
    caption: str
    alt: str

    def html(self) -> str:
        """The figure as HTML, its pixels within."""
        if not self.alt.strip():
            raise InputError(f"picture {self.caption!r}: has no alt text; say in a sentence what it shows")
        buffer = io.BytesIO()
        if isinstance(self.figure, Film):
            kind, figure = "gif", self.figure.figure
            self.figure.write_gif(buffer)
        else:
            kind, figure = "png", self.figure
            figure.savefig(buffer, format="png", dpi=SHARP, metadata={"Software": None})
        pixels = base64.b64encode(buffer.getvalue()).decode("ascii")
        width, height = (round(96 * inches) for inches in figure.get_size_inches())
        wide = ' class="wide"' if width > 1.6 * height else ""
        return (
            f'<figure><div class="scroll"><img{wide} src="data:image/{kind};base64,{pixels}" alt="{escape(self.alt)}" '
            f'width="{width}" height="{height}"></div><figcaption>{escape(self.caption)}</figcaption></figure>'
        )


@dataclass(frozen=True)
class Table:
    """A DataFrame with its best numbers in bold; of a two-level index, the first becomes a heading of its rows.

    `units` by column are printed beside the columns' names. `better` ("low", "high", "zero"), `percent` (labels of rows
    that are shares) and `apart` (labels of rows that do not compete) come from the frame's `attrs` if not given.
    """

    frame: pd.DataFrame
    caption: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    better: Literal["low", "high", "zero"] | None = None
    percent: Sequence[str] = ()
    apart: Sequence[str] = ()

    def html(self) -> str:
        """The table as HTML."""
        frame = self.frame
        better = self.better or frame.attrs.get("better")
        percent, apart = (list(given or frame.attrs.get(key, ())) for key, given in self._kinds())
        corner = escape(str(frame.index.names[-1] or ""))
        head = "".join(f'<th scope="col">{self._column(name)}</th>' for name in frame.columns)
        bodies = [_body(name, part, better, percent, apart) for name, part in _groups(frame)]
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        return (
            f'<div class="scroll"><table>{caption}<thead><tr><th scope="col">{corner}</th>{head}</tr></thead>'
            f"{''.join(bodies)}</table></div>"
        )

    def _kinds(self) -> tuple[tuple[str, Sequence[str]], ...]:
        return ("percent", self.percent), ("apart", self.apart)

    def _column(self, name: Any) -> str:
        unit = self.units.get(name, "")
        return escape(str(name)) + (f" <small>({escape(unit)})</small>" if unit else "")


@dataclass(frozen=True)
class Code:
    """Lines of code, kept as they are."""

    text: str

    def html(self) -> str:
        """The code as HTML."""
        return f"<pre><code>{escape(self.text.strip())}</code></pre>"


Section = Heading | Text | Picture | Table | Code


def report(to: Path | str, *, title: str, lead: str, sections: Iterable[Section], overwrite: bool = False) -> Path:
    """The path of an HTML page that holds everything itself: style, figures, tables; nothing is fetched.

    Parameters
    ----------
    to
        The page to write, such as `report.html`; it appears only when it is complete.
    title, lead
        The heading and the first words.
    sections
        `Heading`, `Text`, `Picture`, `Table` and `Code`, in order. All words are plain text: `<` and `&` show as such.
    overwrite
        Replace a page of that name.

    Raises
    ------
    InputError
        If `to` exists already, or for a picture without words for those who cannot see it.

    Examples
    --------
    >>> from oceanx.plot import Code, Heading, Text, report
    >>> sections = [Heading("Forecast"), Text("Ten days from 1 June."), Code("import oceanx as ox")]
    >>> report("report.html", title="Biscay", lead="A first look.", sections=sections)  # doctest: +SKIP
    PosixPath('report.html')
    """
    to = Path(to)
    with replacing(to, overwrite=overwrite) as path:
        body = "\n".join(section.html() for section in sections)
        page = _PAGE.format(title=escape(title), lead=escape(lead), style=_STYLE, body=body)
        path.write_text(page, encoding="utf-8")
    return to


def _groups(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows under each first label of a two-level index, in order; one nameless group otherwise."""
    if frame.index.nlevels == 1:
        return [("", frame)]
    if frame.index.nlevels > 2:
        raise InputError(f"table: an index of {frame.index.nlevels} levels; at most two can be shown")
    firsts = frame.index.get_level_values(0)
    return [(str(first), frame[firsts == first].droplevel(0)) for first in firsts.unique()]


def _body(name: str, rows: pd.DataFrame, better: str | None, percent: list[str], apart: list[str]) -> str:
    """One group of rows, under its name."""
    numbers = rows.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    labels = [str(label) for label in rows.index]
    shares = np.array([label in percent for label in labels])
    best = _best(np.where((shares | np.isin(labels, apart))[:, None], np.nan, numbers), better)
    places = _decimals(numbers[~shares])
    lines = []
    for i, label in enumerate(labels):
        cells = [_cell(rows.iat[i, j], shares[i], places, bool(best[i, j])) for j in range(rows.shape[1])]
        kind = ' class="share"' if shares[i] else ""
        lines.append(f'<tr{kind}><th scope="row">{escape(label)}</th>{"".join(cells)}</tr>')
    head = f'<tr class="group"><th colspan="{rows.shape[1] + 1}" scope="rowgroup">{escape(name)}</th></tr>'
    return f"<tbody>{head if name else ''}{''.join(lines)}</tbody>"


def _best(numbers: np.ndarray, better: str | None) -> np.ndarray:
    """Which numbers are the best of their column; none where a column has fewer than two to compare."""
    if better is None:
        return np.zeros(numbers.shape, bool)
    rank = {"low": numbers, "high": -numbers, "zero": np.abs(numbers)}[better]
    rank = np.where(np.isfinite(rank), rank, np.inf)
    compared = np.isfinite(rank).sum(axis=0) > 1
    return (rank == rank.min(axis=0, initial=np.inf)) & np.isfinite(rank) & compared


def _decimals(numbers: np.ndarray) -> int:
    """How many decimals show three digits of the middling numbers."""
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    return int(np.clip(2 - np.floor(np.log10(np.median(sizes))), 0, 6)) if sizes.size else 2


def _cell(value: Any, share: bool, places: int, best: bool) -> str:
    """One cell: numbers to the group's decimals, whole numbers whole, missing ones as a dash."""
    if not isinstance(value, str) and pd.isna(value):
        text = "–"
    elif share:
        text = f"{round(100 * value) or 0} %"
    elif isinstance(value, float | np.floating):
        text = f"{value:.{places}f}"
    else:
        text = str(value)
    text = escape(text.replace("-", "−") if not isinstance(value, str) else text)
    return f'<td class="best"><strong>{text}</strong></td>' if best else f"<td>{text}</td>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p class="lead">{lead}</p>
</header>
{body}
<footer>Made with oceanx.</footer>
</main>
</body>
</html>
"""

_STYLE = """\
:root { --ink: #1c2733; --soft: #55636f; --paper: #ffffff; --tint: #eef4f8; --line: #d5dde3; --deep: #0b4f78;
  --best: #d9f0e4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebef; --soft: #a3b1bc; --paper: #11181f; --tint: #1b2630; --line: #33414d; --deep: #8cc8ee;
    --best: #1d4a38; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2.5rem 1.5rem 3rem; }
header { border-bottom: 3px solid var(--deep); margin-bottom: 1.5rem; }
h1 { margin: 0 0 .5rem; font-size: clamp(1.6rem, 4vw, 2.4rem); line-height: 1.2; color: var(--deep); }
h2 { margin: 2.6rem 0 .8rem; font-size: 1.4rem; line-height: 1.3; color: var(--deep); }
p { max-width: 46rem; margin: 0 0 1rem; overflow-wrap: break-word; }
.lead { font-size: 1.15rem; color: var(--soft); }
figure { margin: 1.5rem 0 2rem; }
.scroll { overflow-x: auto; }
figure .scroll { background: #ffffff; border: 1px solid var(--line); border-radius: .5rem; padding: .5rem; }
img { display: block; margin: 0 auto; max-width: 100%; height: auto; }
figcaption { margin-top: .6rem; max-width: 46rem; color: var(--soft); font-size: .95rem; }
table { border-collapse: collapse; margin: 1rem 0 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .6rem; font-size: .95rem; }
th, td { padding: .35rem .9rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; font-weight: 400; }
thead th, thead th:first-child { font-weight: 600; border-bottom: 2px solid var(--deep); }
.group th { background: var(--tint); color: var(--ink); font-weight: 600; text-align: left; white-space: normal; }
.share { color: var(--soft); font-style: italic; }
.best { background: var(--best); }
small { color: var(--soft); font-weight: 400; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; overflow-x: auto; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Consolas, monospace; font-size: .9rem; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); }
@media (max-width: 44rem) {
  main { padding: 1.5rem 1rem; }
  th, td { padding: .35rem .5rem; }
  img { max-width: none; width: 30rem; }
  img.wide { width: 48rem; } }"""
