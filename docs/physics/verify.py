"""Write the page and the figures of verification: every case of `tests/verification`, run and told.

    python docs/physics/verify.py

Leaves `verification.md` beside this file and `verification_*.png` in `docs/images`. Ends with 1 where a case does not
hold, when all is written.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from types import ModuleType
from urllib.parse import quote

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

import torch  # noqa: E402
from verification.outcome import Outcome  # noqa: E402
from verify_figures import curves_of, raised, save  # noqa: E402
from verify_pictures import PICTURES  # noqa: E402

PAGE, IMAGES = Path(__file__).with_name("verification.md"), ROOT / "docs/images"
TITLES = {  # in the order of the page; a module that is not here comes last, under its own name
    "tracers": "Tracers",
    "tracers_vertical": "Tracers with ups and downs",
    "density": "Density",
    "pressure": "Pressure and geostrophy",
    "waves": "Waves",
    "rossby_waves": "Rossby waves",
    "balance": "Balance",
    "gyres": "Gyres",
    "whole": "Primitive equations",
    "baroclinic": "Stratified flow",
    "instability": "Instability",
    "lock_exchange": "Lock exchange",
    "ekman": "Drift under the wind",
    "columns": "Columns",
    "mixing": "Mixing and friction",
    "surface": "The surface",
    "integrators": "Integrators",
    "boundaries": "Open boundaries",
}
HEADER = "| quantity | measured | known | off by | tolerance | where the tolerance comes from | source |"
INTRODUCTION = """\
# Verification

Each equation and scheme of the physics is run here in a case whose answer is known: a closed form, a published value,
or what the equations can never do. A case is small, a plane or a few columns, so that only one thing can be wrong.

Nothing on this page is typed by hand. One command runs all cases, and writes the tables and the figures:

```bash
python docs/physics/verify.py
```

The cases live in `tests/verification/`, and the tests run every one of them whenever they run.

{summary}

How to read a table:

- **measured** is what oceanx gives. **known** comes from the source in the last column. Orders of accuracy
  are *at least* so much: the power at which the error falls from a grid to one whose cells are half as large.
- **off by** and **tolerance** are relative, but absolute where the known value is 0. A tolerance is what theory says
  that the scheme may lack on that grid, or what another model accepts in the same case.
- In figures, what is exact is dashed and black.
"""


@dataclass(frozen=True)
class Case:
    """What a case is called, what it says of itself, and what came out."""

    name: str
    about: str
    outcomes: list[Outcome]


def main() -> None:
    torch.set_num_threads(1)
    start = time.perf_counter()
    sections = {stem: run(module) for stem, module in modules().items()}
    for stem, cases in sections.items():
        draw(stem, cases)
    PAGE.write_text(sealed(page(sections)))
    outcomes = [(stem, o) for stem, cases in sections.items() for case in cases for o in case.outcomes]
    broken = [f"{stem}: {outcome}" for stem, outcome in outcomes if not outcome.holds]
    print(
        f"{len(outcomes)} quantities, {len(broken)} do not hold; {time.perf_counter() - start:.0f} s", *broken, sep="\n"
    )
    sys.exit(bool(broken))


# Run


def modules() -> dict[str, ModuleType]:
    """Every module of `tests/verification` that has cases, in the order of the page."""
    stems = sorted(path.stem for path in (ROOT / "tests/verification").glob("*.py") if path.stem != "__init__")
    found = {stem: import_module(f"verification.{stem}") for stem in stems}
    order = [*TITLES, *stems]
    return {stem: found[stem] for stem in sorted(found, key=order.index) if hasattr(found[stem], "CASES")}


def run(module: ModuleType) -> list[Case]:
    """Every case of a module, with a line for each on the way."""
    told = []
    for name, case in module.CASES.items():
        start = time.perf_counter()
        outcomes = case()
        held = sum(outcome.holds for outcome in outcomes)
        where = module.__name__.split(".")[-1]
        print(f"{where}: {name}: {held} of {len(outcomes)} hold, {time.perf_counter() - start:.1f} s", flush=True)
        told.append(Case(name, paragraph(case.__doc__ or ""), outcomes))
    return told


def draw(stem: str, cases: list[Case]) -> None:
    """The figure of a section's curves, and the pictures that go with it."""
    curves = [outcome.curve for case in cases for outcome in case.outcomes if outcome.curve]
    if curves:
        save(curves_of(curves), IMAGES / f"verification_{stem}.png")
    for name, (_, picture) in PICTURES.get(stem, {}).items():
        start = time.perf_counter()
        save(picture(), IMAGES / f"verification_{name}.png")
        print(f"{stem}: picture of the {name}, {time.perf_counter() - start:.1f} s", flush=True)


# Write


def page(sections: dict[str, list[Case]]) -> str:
    """The whole page."""
    outcomes = [outcome for cases in sections.values() for case in cases for outcome in case.outcomes]
    held, number = sum(outcome.holds for outcome in outcomes), sum(map(len, sections.values()))
    holding = f"all {held} hold" if held == len(outcomes) else f"**{len(outcomes) - held} do not hold**"
    summary = f"There are {number} cases and {len(outcomes)} quantities in them; {holding}."
    written = [section(stem, import_module(f"verification.{stem}").__doc__ or "", c) for stem, c in sections.items()]
    return "\n".join([INTRODUCTION.format(summary=summary), contents(sections), *written])


def title(stem: str) -> str:
    return TITLES.get(stem, stem.replace("_", " ").capitalize())


def contents(sections: dict[str, list[Case]]) -> str:
    """What there is, and how much of it holds."""
    rows = ["| | cases | quantities | hold |", "|---|---|---|---|"]
    for stem, cases in sections.items():
        outcomes = [outcome for case in cases for outcome in case.outcomes]
        names = ", ".join(case.name for case in cases)
        anchor = title(stem).lower().replace(" ", "-")
        held = sum(outcome.holds for outcome in outcomes)
        rows.append(f"| [{title(stem)}](#{anchor}) | {plain(names)} | {len(outcomes)} | {held} |")
    return "\n".join(rows) + "\n"


def section(stem: str, lead: str, cases: list[Case]) -> str:
    """A kind of case: what it is about, its pictures, and a table for each."""
    parts = [f"## {title(stem)}", *(plain(paragraph(each)) for each in lead.split("\n\n"))]
    for name, (caption, _) in PICTURES.get(stem, {}).items():
        parts += [f"![{caption}](../images/verification_{name}.png)", f"*{caption}*"]
    if any(outcome.curve for case in cases for outcome in case.outcomes):
        parts.append(f"![Curves of the cases: {title(stem)}](../images/verification_{stem}.png)")
    for case in cases:
        parts += [f"### {capital(case.name)}", plain(case.about), table(case.outcomes)]
    return "\n\n".join(fill(part, 120) if part[0] not in "#!|" else part for part in parts) + "\n"


def table(outcomes: list[Outcome]) -> str:
    """The outcomes of a case, a row each; what a row shares with the one above is not said twice."""
    rows = [row(outcome) for outcome in outcomes]
    for above, below in reversed(list(pairwise(rows))):
        below[-2:] = ["the same" if a == b != "" else b for a, b in zip(above[-2:], below[-2:], strict=True)]
    return "\n".join([HEADER, "|---|---:|---:|---:|---:|---|---|", *(f"| {' | '.join(cells)} |" for cells in rows)])


def row(outcome: Outcome) -> list[str]:
    """The cells of a row; what does not hold says so in bold."""
    digits = digits_of(outcome)
    measured, known = (with_unit(number(value, digits), outcome.unit) for value in (outcome.measured, outcome.known))
    off, allowed = "", ""
    if outcome.kind != "equal":
        known = f"{outcome.kind} {with_unit(number(outcome.known, max(digits - 1, 2)), outcome.unit)}"
    elif outcome.known:
        off, allowed = (share(value) for value in (abs(outcome.measured / outcome.known - 1), outcome.tolerance))
    else:
        off, allowed = (number(abs(value), 2) for value in (outcome.measured, outcome.tolerance))
    if not outcome.holds:
        measured = f"**{measured}: does not hold**"
    return [plain(outcome.quantity), measured, known, off, allowed, plain(outcome.why), plain(outcome.source)]


def digits_of(outcome: Outcome) -> int:
    """How many digits tell the measured from the known value: those of the known one, or one beyond the tolerance."""
    if outcome.kind != "equal":
        apart = abs(outcome.measured / outcome.known - 1) if outcome.known else 1.0
        return 3 if apart > 0.02 or apart == 0 else min(math.ceil(-math.log10(apart)) + 2, 9)
    if outcome.known == 0:
        return 2
    beyond = math.ceil(-math.log10(outcome.tolerance or 1e-6)) + 1
    given = len(repr(outcome.known).split("e")[0].lstrip("-0.").replace(".", "").removesuffix("0"))
    return max(given, 3) if given <= max(9, min(beyond, 13)) else min(max(beyond, 3), 7)


def number(value: float, digits: int) -> str:
    """A number with so many digits: 10.156, 2.97e-7; of a round power of ten the power alone, 1e-12."""
    if value == 0 or not math.isfinite(value):
        return f"{abs(value):g}"
    whole = math.floor(math.log10(abs(value)))
    if -4 <= whole < 6:
        text = f"{value:.{max(digits - 1 - whole, 0)}f}"
    else:
        power, text = f"{value:.{digits - 1}e}".split("e")[::-1]
        text = f"{text.removesuffix('.' + '0' * (digits - 1))}e{int(power)}"
    return text.replace("-", "−", 1) if value < 0 else text


def share(value: float) -> str:
    """A relative number: 0.72 %, 2e-6."""
    return f"{100 * value:.2g} %" if value >= 1e-3 else number(value, 2)


def with_unit(text: str, unit: str) -> str:
    """A number and its unit: 0.24 m s⁻¹."""
    if unit in ("1", "relative"):
        return text
    return f"{text}{unit}" if unit == "°" else f"{text} {raised(unit)}"


def paragraph(text: str) -> str:
    """The first paragraph of a text, on one line."""
    return " ".join(text.strip().split("\n\n")[0].split())


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Text as Markdown that says no more than the text; a DOI becomes a link."""
    text = re.sub(r"https://doi\.org/(?=10\.)", "doi:", text)
    pieces = re.split(r"(doi:10\.\S+)", text)
    return "".join(link(piece) if place % 2 else escaped(piece) for place, piece in enumerate(pieces))


def link(doi: str) -> str:
    name = doi.rstrip(".,;:")
    while name.count(")") > name.count("("):
        name = name[: name.rindex(")")]
    address = quote(name.removeprefix("doi:"), safe="/")
    return f"[{escaped(name)}](https://doi.org/{address}){doi[len(name) :]}"


def escaped(text: str) -> str:
    return re.sub(r"([|*_])", r"\\\1", raised(text)).replace("<", "&lt;").replace(">", "&gt;")


def sealed(text: str) -> str:
    """The page with a digest of itself at the end, so that a number changed by hand is found."""
    return f"{text}\n<!-- written by docs/physics/verify.py, {hashlib.sha256(text.encode()).hexdigest()[:16]} -->\n"


if __name__ == "__main__":
    main()
