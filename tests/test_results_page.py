"""The results page: the numbers it tables are those of the scores, from fabricated scores whose tables are known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS))

import results  # noqa: E402
import results_page  # noqa: E402

import oceanx as ox  # noqa: E402

DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


def scores(slope: float) -> xr.Dataset:
    """Errors `slope` × lead (days): of temperature on four levels, of height and current a hundredth."""
    leads = np.arange(1, 31)
    flat, deep = slope * leads, np.repeat(slope * leads[:, None], 4, axis=1)
    fields = {}
    for name, values, units in (("thetao", deep, "degrees_C"), ("uo", deep / 100, "m s-1"), ("zos", flat / 100, "m")):
        dims = ("lead_time", "depth")[: values.ndim]
        fields[f"{name}_rmse"] = (dims, values, {"units": units})
        fields[f"{name}_acc"] = (dims, 1 - values / values.max() / 2)
        fields[f"{name}_activity_ratio"] = (dims, np.ones_like(values))
    return xr.Dataset(fields, {"lead_time": leads * DAY, "depth": [0.5, 47.0, 92.0, 222.0]})


def far(kept: float) -> xr.Dataset:
    """Spectra of which the forecast has this share of the variance; its extremes are 1.5 times the truth's."""
    k = np.geomspace(2e-4, 1e-2, 12)
    coords = {"lead_time": [60 * DAY], "depth": [0.5], "wavenumber": k, "bandwidth": ("wavenumber", 0.1 * k)}
    table = xr.Dataset(coords=coords)
    for name in results.VARIABLES:
        dims = ("lead_time", *(() if name == "zos" else ("depth",)), "wavenumber")
        truth = np.broadcast_to(k**-2, [table.sizes[dim] for dim in dims])
        table[f"{name}_truth_spectrum"] = (dims, truth, {"units": "m2 km"})
        table[f"{name}_spectrum"] = kept * table[f"{name}_truth_spectrum"]
        table[f"{name}_rmse"] = ("lead_time", [0.25])
        for kind, wide in (("forecast", 1.5), ("truth", 1.0)):
            table[f"{name}_{kind}_least"], table[f"{name}_{kind}_most"] = -wide, wide / 2
    return table


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    tmp_path = tmp_path_factory.mktemp("results")
    for folder in ("scores", "far", "images"):
        (tmp_path / folder).mkdir()
    slopes = {
        "hybrid_0": 0.010, "hybrid_1": 0.012, "hybrid_untrained": 0.022, "unet_0": 0.01, "persistence": 0.044,
        "damped_persistence": 0.03, "climatology": 0.05,
    }  # fmt: skip
    for name, slope in slopes.items():
        scores(slope).to_netcdf(tmp_path / "scores" / f"{name}.nc")
    best = scores(0.001)
    best.rename({f"{name}_rmse": f"{name}_rmse_unbiased" for name in results.VARIABLES}).to_netcdf(
        tmp_path / "scores" / "oracle.nc"
    )
    for name, kept in {"hybrid": 1.1, "unet": 0.5}.items():
        far(kept).to_netcdf(tmp_path / "far" / f"{name}.nc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results_page, "PAGE", tmp_path / "results.md")
        patch.setattr(results_page, "IMAGES", tmp_path / "images")
        patch.setattr(results_page, "README", tmp_path / "README.md")
        (tmp_path / "README.md").write_text(f"before\n\n{results_page.MARK}\n\n| old |\n|---|\n\nafter\n")
        results_page.write(tmp_path)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"results_skill.png", "results_spectra.png"}
    before, mark, table, after = (tmp_path / "README.md").read_text().split("\n\n")
    assert (before, mark, after) == ("before", results_page.MARK, "after\n")
    assert "| hybrid | 0.011 | 0.033 | 0.055 | 0.110 | 0.220 | 0.330 |" in table
    assert "| unet (network alone) | 0.010 |" in table
    return (tmp_path / "results.md").read_text()


def row(page: str, heading: str, name: str) -> list[str]:
    """The cells of a row of the first table below a heading."""
    below = page.split(heading, 1)[1]
    (line, *_) = [line for line in below.split("\n") if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_errors_are_means_over_seeds_with_their_spread_in_the_units_named(page: str) -> None:
    spread = np.std([0.010, 0.012], ddof=1)
    assert row(page, "| sea surface temperature (°C) |", "hybrid") == [
        f"{0.011 * day:.3f} ± {spread * day:.3f}" for day in (1, 3, 5, 10, 20, 30)
    ]
    # A hundredth of a metre a degree, in cm: the same numbers, with two digits.
    assert row(page, "| sea surface height (cm) |", "persistence")[3] == "0.44"
    assert row(page, "| sea surface temperature (°C) |", "oracle")[3] == "0.010"


def test_rows_stand_in_the_order_of_their_errors_and_references_below(page: str) -> None:
    table = page.split("| sea surface temperature (°C) |", 1)[1].split("\n\n", 1)[0]
    names = [line.split("|")[1].strip() for line in table.split("\n")[2:]]
    assert names == ["unet", "hybrid", "persistence", "damped persistence", "climatology", "oracle"]


def test_what_a_part_is_worth_is_what_the_error_loses_by_it(page: str) -> None:
    assert row(page, "## What each part is worth", "hybrid against its physics alone")[0] == "50 / 50 / 50"
    assert row(page, "## What each part is worth", "hybrid against persistence")[3] == "75 / 75 / 75"


def test_where_a_part_is_worth_nothing_is_said(page: str) -> None:
    assert row(page, "## What each part is worth", "hybrid against its network alone")[0] == "-10 / -10 / -10"
    behind = [line for line in page.split("\n") if line.startswith("- ")]
    assert behind == [f"- hybrid, {place}: behind its network alone on day 1, 10, 30" for place in results_page.PLACES]


def test_variance_that_is_kept_and_extremes_are_shares_of_the_truth_s(page: str) -> None:
    assert row(page, "| variance |", "unet") == ["0.50"] * 9
    assert row(page, "| variance |", "hybrid") == ["1.10"] * 9
    assert row(page, "| extremes, errors |", "unet") == ["1.50", "1.50", "0.25", "25.00", "25.00"]


def test_what_lacks_a_part_is_a_config_that_trains_as_the_others_do() -> None:
    """The same windows: as many iterations of as many, by the same rollouts but for parts that need their stages."""
    emulator = ox.preset("emulator_small")
    for name, preset in results.SYSTEMS.items():
        for part, changes in results.without(name).items():
            config = ox.preset(preset, **changes)
            assert config.task == ox.preset(preset).task, (name, part)
            seen = [each * size for each, size in zip(config.iterations, config.batch_size, strict=True)]
            wanted = [each * size for each, size in zip(emulator.iterations, emulator.batch_size, strict=True)]
            assert seen == wanted, (name, part)
            assert config.rollout == emulator.rollout, (name, part)
