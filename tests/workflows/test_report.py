"""The report of a run: what is on it, what is left out, what is refused."""

from __future__ import annotations

import base64
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import exit_code
from PIL import Image

import oceanx as ox
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.report import report
from oceanx.workflows.training import train

STARTS = pd.date_range("2002-04-05", periods=3, freq="5D")


class Page(HTMLParser):
    """Headings, text and images of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.headings: list[str] = []
        self.text = ""
        self.images: list[dict[str, str]] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._in: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data
        if self._in and self._in[-1] == "h2" and data.strip():
            self.headings.append(data)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, request) -> Path:
    """A run that was validated, its forecast, scores beside persistence, and the data."""
    import toy_dataset

    from oceanx.workflows.train_config import preset

    root = tmp_path_factory.mktemp("report")
    ds = toy_dataset.ocean(500, start="2001-01-01")
    config = preset(
        "hybrid_small",
        **{
            "task.prognostic.depth": list(toy_dataset.DEPTH), "task.forcing.surface": ["u10", "t2m"],
            "model.net.widths": [8, 16], "model.substeps": 1, "train": ["2001-01-01", "2002-03-31"],
            "iterations": [5, 3], "batch_size": [4, 2], "checkpoint_every": 2,
            "validation": {"period": ["2002-04-01", "2002-04-30"], "lead": "2D", "every": 2, "starts": 2},
        },
    )  # fmt: skip
    run = train(config, ds, root / "hybrid")
    ds.to_zarr(root / "ocean.zarr", consolidated=False)
    models = {"hybrid": ox.load(run), "persistence": ox.persistence()}
    forecasts = {name: ox.forecast(model, ds, STARTS, "3D", forcing="observed") for name, model in models.items()}
    forecasts["hybrid"].to_zarr(root / "fc.zarr", consolidated=False)
    ox.score(forecasts, ds).to_netcdf(root / "scores.nc")
    return root


@pytest.fixture(scope="module")
def skill() -> xr.Dataset:
    leads = pd.to_timedelta([1, 2, 3], unit="D")
    hits = np.linspace(0.9, 0.4, 12).reshape(2, 3, 2)
    dims = ("model", "lead_time", "category")
    return xr.Dataset(
        {"hit_rate": (dims, hits), "csi": (dims, hits / 2), "detection_lead": ("model", [2.25, 0.5])},
        {"model": ["hybrid", "climatology"], "lead_time": leads, "category": ["Moderate", "Strong"]},
    )


@pytest.fixture(scope="module")
def whole(shelf, skill, tmp_path_factory) -> Page:
    """The page that the command writes of everything."""
    to = tmp_path_factory.mktemp("whole") / "report.html"
    skill.to_netcdf(to.with_name("skill.nc"))
    given = {"scores": shelf / "scores.nc", "forecast": shelf / "fc.zarr", "truth": shelf / "ocean.zarr"}
    options = [word for name, path in given.items() for word in (f"--{name}", str(path))]
    words = ["report", str(shelf / "hybrid"), "--to", str(to), *options, "--heatwaves", str(to.with_name("skill.nc"))]
    assert exit_code(*words) == 0
    return Page(to)


def test_the_page_has_all_that_is_given(whole, shelf):
    assert whole.headings == [
        "How good are the forecasts?", "One forecast", "Marine heatwaves", "Training", "How it was made",
    ]  # fmt: skip
    alts = " | ".join(image["alt"] for image in whole.images)
    for part in ("rmse against lead", "Three maps of potential temperature", "Animated map", "skill in heatwaves",
                 "loss and gradient norm", "validation error"):  # fmt: skip
        assert part in alts, part
    told = str(xr.open_zarr(shelf / "fc.zarr", consolidated=False).attrs["oceanx_forcing"])
    assert f"What it was told of the atmosphere to come: {told}." in whole.text
    assert "simulation" in told  # the forcing was observed
    about = ox.load(shelf / "hybrid").attrs
    assert about["oceanx_config"] in whole.text
    assert "widths:\n    - 8\n    - 16" in whole.text


def test_numbers_on_the_page_are_those_of_the_files(whole, shelf):
    scores = xr.open_dataset(shelf / "scores.nc").isel(depth=0)
    own, theirs = (float(scores.thetao_rmse.sel(model=m, lead_time="3D").item()) for m in ("hybrid", "persistence"))
    told = f"after 3 days the error is {own:#.2g} °C, {100 * abs(1 - own / theirs):.0f} %"
    assert told in whole.text
    assert "2.25" in whole.text  # the longest lead of heatwaves
    assert "Moderate or stronger, by lead." in whole.text


def test_nothing_is_fetched(whole):
    for tag, attrs in whole.tags:
        assert tag not in ("script", "link", "iframe", "object"), tag
        for key in ("src", "href", "srcset", "action"):
            assert attrs.get(key, "data:").startswith("data:"), (tag, attrs)
    policy = next(attrs["content"] for _, attrs in whole.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_the_film_runs_through_all_leads(whole):
    (film,) = [image for image in whole.images if image["src"].startswith("data:image/gif;base64,")]
    with Image.open(io.BytesIO(base64.b64decode(film["src"].split(",")[1]))) as gif:
        assert gif.n_frames == 3


def test_every_image_says_what_it_shows(whole):
    assert len(whole.images) > 8
    for image in whole.images:
        assert len(image["alt"]) > 10
        base64.b64decode(image["src"].split(",")[1], validate=True)


def test_what_is_missing_is_left_out(shelf, tmp_path):
    page = Page(report(shelf / "hybrid", tmp_path / "report.html"))
    assert page.headings == ["Training", "How it was made"]
    bare = tmp_path / "bare"
    shutil.copytree(shelf / "hybrid", bare)
    for name in ("log.csv", "validation.csv", "weights.safetensors"):
        (bare / name).unlink()
    page = Page(report(bare, tmp_path / "bare.html"))
    assert page.headings == ["How it was made"]
    assert "Numbers in the weights" not in page.text
    assert not page.images


def test_what_lies_in_the_run_folder_is_found(shelf, tmp_path, skill):
    run = tmp_path / "run"
    shutil.copytree(shelf / "hybrid", run)
    xr.load_dataset(shelf / "scores.nc")[["zos_rmse"]].to_netcdf(run / "scores.nc")
    fc = xr.open_zarr(shelf / "fc.zarr", consolidated=False)[["zos"]]
    fc.isel(lead_time=slice(0, 2)).drop_encoding().to_zarr(run / "forecast.zarr", consolidated=False)
    skill.to_netcdf(run / "heatwaves.nc")
    page = Page(report(run, tmp_path / "report.html"))
    assert page.headings[:3] == ["How good are the forecasts?", "One forecast", "Marine heatwaves"]
    assert not any("Three maps" in image["alt"] for image in page.images)  # without a truth, maps of the forecast alone


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.6, "40 % less than persistence"), (1.25, "25 % more than persistence"), (1.001, "the same as persistence")],
)
def test_scores_of_several_files_stand_side_by_side(share, said, shelf, tmp_path):
    theirs = xr.load_dataset(shelf / "scores.nc")[["zos_rmse"]].sel(model="persistence", drop=True)
    theirs.to_netcdf(tmp_path / "persistence.nc")
    (theirs * share).to_netcdf(tmp_path / "hybrid.nc")
    page = Page(
        report(shelf / "hybrid", tmp_path / "report.html", scores=[tmp_path / "hybrid.nc", tmp_path / "persistence.nc"])
    )
    assert f", {said} (" in page.text
    with pytest.raises(InputError, match="the model 'hybrid' is in two files"):
        report(shelf / "hybrid", tmp_path / "again.html", scores=[tmp_path / "hybrid.nc", shelf / "scores.nc"])


def test_names_are_only_words(shelf, tmp_path):
    run = tmp_path / "<b>bold & more<"
    shutil.copytree(shelf / "hybrid", run)
    scores = xr.load_dataset(shelf / "scores.nc")[["zos_rmse"]].assign_coords(model=["<i>one", "persistence"])
    path = report(run, tmp_path / "report.html", scores=scores)
    page = Page(path)
    assert not {"b", "i"} & {tag for tag, _ in page.tags}
    assert "<b>bold & more<" in page.text
    assert "<i>one" in page.text


def test_wrong_files_are_refused(shelf, tmp_path, skill):
    to, run = tmp_path / "report.html", shelf / "hybrid"
    with pytest.raises(InputError, match="is not a run folder"):
        report(tmp_path, to)
    with pytest.raises(InputError, match=r"fc\.zarr: holds no scores by lead time"):
        report(run, to, scores=shelf / "fc.zarr")
    with pytest.raises(InputError, match=r"scores\.nc: holds no skill in heatwaves"):
        report(run, to, heatwaves=shelf / "scores.nc")
    with pytest.raises(InputError, match=r"ocean\.zarr: no dimension 'init_time'"):
        report(run, to, forecast=shelf / "ocean.zarr")
    with pytest.raises(InputError, match=r"no\.nc: no such file"):
        report(run, to, scores=tmp_path / "no.nc")
    with pytest.raises(InputError, match="truth: is what a forecast is held against"):
        report(run, to, truth=shelf / "ocean.zarr")
    early = xr.open_zarr(shelf / "ocean.zarr", consolidated=False).sel(time="2001")
    with pytest.raises(InputError, match="truth: thetao has nothing on 2002"):
        report(run, to, forecast=shelf / "fc.zarr", truth=early)
    other = xr.open_zarr(shelf / "fc.zarr", consolidated=False).assign_attrs(oceanx_config="0123")
    with pytest.raises(InputError, match="forecast: was made with the config 0123"):
        report(run, to, forecast=other)
    by_start = xr.load_dataset(shelf / "scores.nc").expand_dims(init_time=STARTS)
    with pytest.raises(InputError, match=r"each start date; score again without by=\['init_time'\]"):
        report(run, to, scores=by_start)
    assert not list(tmp_path.iterdir())


def test_a_page_that_is_there_is_not_replaced_unasked(shelf, tmp_path):
    to = tmp_path / "report.html"
    to.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        report(shelf / "hybrid", to)
    assert to.read_text() == "mine"
    report(shelf / "hybrid", to, overwrite=True, title="Bay of Biscay")
    assert "Bay of Biscay" in Page(to).text
