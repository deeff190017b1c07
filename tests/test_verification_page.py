"""The page of verification is what its script wrote: every case, every figure, no number of anyone's own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from verification.outcome import Outcome

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS / "physics"))

import verify  # noqa: E402

AGAIN = "run python docs/physics/verify.py"
QUICK = ("ekman", "mixing", "pressure", "surface")  # together a second
MODULES = verify.modules()


def sections() -> dict[str, str]:
    """The page's sections by their titles."""
    parts = re.split(r"^## ", verify.PAGE.read_text(), flags=re.M)[1:]
    return dict(part.split("\n", 1) for part in parts)


def test_every_module_with_cases_is_found() -> None:
    files = (DOCS.parent / "tests/verification").glob("*.py")
    assert {file.stem for file in files if "\nCASES = " in file.read_text()} == set(verify.TITLES) == MODULES.keys()


@pytest.mark.parametrize("stem", MODULES)
def test_every_case_is_on_the_page(stem: str) -> None:
    text = sections().get(verify.title(stem), "")
    found = re.findall(r"^### (.+)\n\n((?:[^|\n].*\n)+)\n\| quantity", text, re.M)
    told = {name: " ".join(about.split()) for name, about in found}
    wanted = {
        verify.capital(name): verify.plain(verify.paragraph(case.__doc__)) for name, case in MODULES[stem].CASES.items()
    }
    assert told == wanted, AGAIN


def test_figures_are_there_and_all_of_them_are_shown() -> None:
    named = re.findall(r"^!\[.+\]\(\.\./images/(.+)\)$", verify.PAGE.read_text(), re.M)
    made = {path.name: path for path in verify.IMAGES.glob("verification_*.png")}
    assert sorted(named) == sorted(made), AGAIN
    assert len(named) >= len(MODULES)
    for name, path in made.items():
        assert 5_000 < path.stat().st_size < 150_000, name


def test_the_page_is_as_it_was_written() -> None:
    text, _ = verify.PAGE.read_text().rsplit("\n<!-- written by", 1)
    assert verify.sealed(text) == verify.PAGE.read_text(), f"changed by hand; {AGAIN}"


def test_all_holds() -> None:
    text = verify.PAGE.read_text()
    rows = re.findall(r"^\| \[.+\]\(#.+\) \|.+\| (\d+) \| (\d+) \|$", text, re.M)
    assert len(rows) == len(MODULES), AGAIN
    assert all(quantities == held for quantities, held in rows)
    assert "does not hold" not in text


@pytest.mark.parametrize("stem", QUICK)
def test_rows_say_what_the_cases_say(stem: str) -> None:
    """Once more, on this machine: what is known, allowed and cited to the letter, what is measured to a part in 100."""
    cases = verify.run(MODULES[stem])
    now = [cells(verify.table([case.outcomes[i]])) for case in cases for i in range(len(case.outcomes))]
    then = cells(sections()[verify.title(stem)])
    # A row that shares its sources with the one above says "the same".
    kept = {column: [row[column] for row in then] for column in range(7)}
    for number, row in enumerate(row for rows in now for row in rows):
        for column in (0, 2, 4):
            assert kept[column][number] == row[column], AGAIN
        for column in (5, 6):
            assert kept[column][number] in (row[column], "the same"), AGAIN
    outcomes = [outcome for case in cases for outcome in case.outcomes]
    assert len(outcomes) == len(then), AGAIN
    for text, outcome in zip(kept[1], outcomes, strict=True):
        measured = float(re.match(r"−?[\d.]+(?:e-?\d+)?", text)[0].replace("−", "-"))
        assert measured == pytest.approx(outcome.measured, rel=0.01, abs=1e-12), (text, outcome)


def cells(text: str) -> list[list[str]]:
    """The rows of all tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and line != verify.HEADER]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def outcome(measured: float, known: float, tolerance: float = 0.0, unit: str = "1", **more: str) -> Outcome:
    return Outcome("speed", unit, measured, known, "doi:10.1016/S0021-9991(05)80016-6", "theory", tolerance, **more)


def test_numbers_are_told_so_that_one_can_judge() -> None:
    row = verify.row(outcome(10.156045, 10.138, 0.00723, "m s-1"))
    assert row[1:5] == ["10.156 m s⁻¹", "10.138 m s⁻¹", "0.18 %", "0.72 %"]
    assert verify.row(outcome(-1.5e-16, 0.0, 1e-12))[1:5] == ["−1.5e-16", "0", "1.5e-16", "1e-12"]
    assert verify.row(outcome(1.96, 1.8, kind="at least"))[1:5] == ["1.96", "at least 1.8", "", ""]
    assert verify.row(outcome(0.2, 0.1, 0.01))[1] == "**0.200: does not hold**"
    assert verify.row(outcome(float("nan"), 0.1, 0.01))[1] == "**nan: does not hold**"
    link = "[doi:10.1016/S0021-9991(05)80016-6](https://doi.org/10.1016/S0021-9991%2805%2980016-6)"
    assert row[-1] == link
    assert verify.plain("|z|, doi:10.1175/1520-0485(1981)011<1443:P>2.0.CO;2; x").startswith(r"\|z\|, [doi:10.1175/")
