"""The page of the four systems: its tables are what the code gives, and what is told of them holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from oceanx.workflows.train_config import preset, presets

sys.path.append(str(Path(__file__).parents[1] / "docs"))

import systems

OTHERS = {"emulator", "hybrid", "network", "solver"}  # kinds of model, and of analysis, that are none of the systems
IDLE = {"velocity": 2.24}  # millions of released weights that nothing calls, and that ours does not have


def test_the_tables_are_as_they_were_written() -> None:
    page = systems.PAGE.read_text()
    assert systems.filled(page) == page, "run python docs/systems.py"
    assert all(page.count(f"<!-- weights of {system}: ") == 1 for system in systems.SYSTEMS)
    assert page.count("<!-- networks: ") == 1


def test_every_preset_of_a_system_is_in_its_table() -> None:
    told = {name for names in systems.SYSTEMS.values() for name in names}
    assert told == {name for name in presets() if preset(name).model.kind not in OTHERS}


@pytest.mark.parametrize("name", ["hybridom", "hybridom_0p25", "hybridom_regional", "ocean_e2e"])
def test_ours_are_as_large_as_released_but_for_what_more_they_read(name: str) -> None:
    """The first layers alone are larger, by a fortieth of the smallest network and less of the others."""
    counted = systems.parts(name)
    for part, released in systems.RELEASED[name].items():
        assert counted[part] / 1e6 == pytest.approx(released - IDLE.get(part, 0.0), rel=0.025), part


def test_a_docstring_is_told_by_its_first_words_and_references() -> None:
    about = "A net: it is\nsmall.\n\nMore.\n\n"
    text = f"{about}References\n----------\nLi, Wu & Ma (2021), J. 3, doi:10.1/x; Oh (2020), arXiv:1.2.\n"
    links = "[Li et al. 2021](https://doi.org/10.1/x); [Oh 2020](https://arxiv.org/abs/1.2)"
    assert systems.described(text) == ("A net: it is small", links)
