"""What `check dataset` finds, each fault put into a sound ocean by hand."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

from oceanx.data.checks import Finding, check, printed, report
from oceanx.vocabulary.errors import InputError


@pytest.fixture(scope="module")
def sound():
    """Two years of a toy ocean with land and an atmosphere, as it would be opened."""
    return toy_dataset.ocean(731, start="2001-01-01").astype("float32").load()


def said(findings: list[Finding], level: str) -> str:
    return "\n".join(str(finding) for finding in findings if finding.level == level)


def test_a_sound_dataset_has_no_fault(sound):
    findings = report(sound)
    assert said(findings, "error") == said(findings, "warn") == ""
    assert "731 times, one every 1 d, 2001-01-01 to 2003-01-01" in said(findings, "ok")
    assert "no holes in wet cells" in said(findings, "ok")


def hole(ds):
    ds = ds.copy(deep=True)
    ds.thetao[365, 0, 4, 4] = np.nan
    return ds


def hot(ds):
    ds = ds.copy(deep=True)
    ds.thetao[0, 0, 4, 4] = 288.15
    return ds


def empty_day(ds):
    ds = ds.copy(deep=True)
    ds.uo[365] = np.nan
    return ds


def without_unit(ds):
    ds = ds.copy()
    del ds.thetao.attrs["units"]
    return ds


@pytest.mark.parametrize(
    ("change", "found", "mend"),
    [
        (lambda ds: ds.drop_vars("mask"), "no mask; needed: coordinate `mask`", "ox.ocean.grid.complete(ds), or bake"),
        (lambda ds: ds.assign_coords(mask=ds.mask * 0), "mask: 0% wet", "ox.ocean.grid.complete(ds), or bake"),
        (lambda ds: ds.assign_coords(mask=ds.mask * 3), "values [0 3]", "ox.ocean.grid.complete(ds), or bake"),
        (hole, "thetao: 1 wet cells without a value on 2002-01-01", "grid.complete(ds.drop_vars('mask'))"),
        (hot, "thetao: from", "look for a wrong unit, packing or fill value"),
        (empty_day, "uo: no value at all on 2002-01-01", "list the day in the attribute missing_times"),
        (lambda ds: ds.isel(latitude=slice(None, None, -1)), "latitude is descending", "ds.sortby('latitude')"),
        (lambda ds: ds.isel(depth=[0, 2, 1]), "depth is out of order", "ds.sortby('depth')"),
        (lambda ds: ds.assign_coords(depth=[-90.0, -40, -1]), "depth reaches -90 m", "oceanx bake cf"),
        (lambda ds: ds.assign_coords(longitude=ds.longitude % 360), "longitude from 340 to 345.5", "oceanx bake cf"),
        (lambda ds: ds.rename(latitude="lat"), "no coordinate latitude", "oceanx bake cf"),
        (lambda ds: ds.rename(depth="level"), "thetao: dimension level", "oceanx bake cf"),
        (lambda ds: ds.rename(thetao="votemper"), "votemper: another's name; needed: thetao", "oceanx bake cf"),
        (lambda ds: ds[["t2m"]].rename(t2m="mood"), "no variable of ours among mood", "oceanx bake cf"),
        (
            lambda ds: ds.assign(thetao=ds.thetao.assign_attrs(units="K")),
            "thetao: units K; needed: degrees_C",
            "convert",
        ),
        (lambda ds: ds.assign(zos=ds.zos.assign_attrs(units="furlong")), "zos: units furlong", "convert it first"),
        (without_unit, "thetao: says no units", "variables={thetao: {units: degrees_C}}"),
        (lambda ds: ds.isel(time=[0, 1, 3, 4]), "time is irregular: steps from 1 d to 2 d", "oceanx bake cf"),
        (lambda ds: ds.isel(time=[0, 1, 1, 2]), "time is out of order or repeats", "oceanx bake cf"),
        (lambda ds: ds.assign_coords(time=np.arange(731)), "time is int64, not dates", "oceanx bake cf"),
        (lambda ds: ds.isel(time=0, drop=True), "no time dimension", "oceanx bake cf"),
    ],
)
def test_a_fault_is_found_with_its_remedy(sound, change, found, mend):
    errors = said(report(change(sound), where="x.zarr"), "error")
    line = next((line for line in errors.splitlines() if found in line), "")
    assert line, errors
    assert "to mend: " in line
    assert mend in line.split("to mend: ")[1]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda ds: ds.drop_vars("cell_area"), "no cell_area"),
        (lambda ds: ds.drop_vars("thickness"), "no thickness"),
        (lambda ds: ds.drop_attrs(deep=False), "no oceanx_fingerprint"),
        (lambda ds: ds.isel(time=slice(100)), "2001-01-01 to 2001-04-10 is less than a year"),
        (lambda ds: ds.assign(mood=ds.zos), "mood: a word that oceanx does not know"),
        (lambda ds: ds.astype("float64"), "float64; needed: float32"),
        (lambda ds: ds.assign_attrs(missing_times=list(map(str, range(200)))), "200 of 731 times are missing (27.4%)"),
        (lambda ds: ds.assign_attrs(mask_disagreement="so: 3 cells"), "masks of variables disagree: so: 3 cells"),
    ],
)
def test_what_is_only_a_pity_is_a_warning(sound, change, found):
    findings = report(change(sound))
    assert said(findings, "error") == ""
    assert found in said(findings, "warn")


def test_a_listed_day_may_be_empty(sound):
    ds = empty_day(sound)
    ds.attrs["missing_times"] = ["2002-01-01"]
    assert said(report(ds), "error") == ""


def test_what_one_use_needs_another_may_do_without(sound):
    ragged, bare = sound.isel(time=[0, 1, 3, 400]), sound.drop_vars("mask")
    assert "irregular" in said(report(ragged, ["training"]), "error")
    assert "irregular" in said(report(ragged, ["scoring"]), "warn")
    assert "no mask" in said(report(bare, ["scoring"]), "error")
    assert "no mask" in said(report(bare, ["training"]), "warn")
    assert "less than a year" not in said(report(sound.isel(time=slice(9)), ["training"]), "warn")
    with pytest.raises(InputError, match="unknown use 'trainin'; did you mean 'training'"):
        report(sound, ["trainin"])


def test_months_are_regular(sound):
    assert said(report(sound.sel(time=sound.time.dt.day == 1)), "error") == ""
    assert "irregular" in said(report(sound.sel(time=sound.time.dt.day == 2)), "error")  # not the first of the month


def test_chunks_of_another_use_are_told_with_the_command(tmp_path):
    rng = np.random.default_rng(0)
    place = {"latitude": np.linspace(0, 10, 40), "longitude": np.linspace(0, 10, 40)}
    place = {"time": np.arange("2001", "2004", dtype="datetime64[D]").astype("datetime64[ns]"), **place}
    zos = xr.DataArray(rng.normal(size=(1095, 40, 40)).astype("f4"), place, tuple(place), attrs={"units": "m"})
    for name, chunks in (("series", (1095, 40, 40)), ("maps", (73, 40, 40))):
        ds = zos.to_dataset(name="zos")
        ds.to_zarr(tmp_path / f"{name}.zarr", consolidated=False, encoding={"zos": {"chunks": chunks}})
    warned = said(check([tmp_path / "series.zarr"], ["training"]), "warn")
    assert "zos: one map costs reading 1095 times as much" in warned
    assert f"oceanx rechunk {tmp_path / 'series.zarr'} --for training --to NEW.zarr" in warned
    assert "one map costs" not in said(check([tmp_path / "series.zarr"], ["scoring"]), "warn")
    assert "one map costs" not in said(check([tmp_path / "maps.zarr"], ["training"]), "warn")


def test_stores_are_checked_together(sound, tmp_path, capsys):
    air = ["u10", "t2m"]
    ocean, late, other = (tmp_path / f"{name}.zarr" for name in ("ocean", "late", "other"))
    sound.drop_vars(air).to_zarr(ocean, consolidated=False)
    sound[air].isel(time=slice(1, None)).to_zarr(late, consolidated=False)
    sound[air].assign_coords(latitude=sound.latitude + 1).to_zarr(other, consolidated=False)
    findings = check([ocean, late])
    assert f"{late}: lacks 1 of 731 times of {ocean}, first 2001-01-01" in said(findings, "warn")
    assert findings[0].found.startswith("730 time × 3 depth × 10 latitude × 12 longitude; ")
    assert "no statistics beside the data" in said(findings, "warn")
    assert printed(findings)
    assert len(capsys.readouterr().out.splitlines()) == len(findings)
    findings = check([ocean, other])
    assert "latitude: grids differ" in said(findings, "error")
    assert not printed(findings)


def test_files_that_are_no_store_of_ours_are_opened_too(tmp_path):
    kelvin = xr.DataArray(np.full((2, 3), 290.0), {"lat": [2.0, 1], "lon": [1.0, 2, 3]}, attrs={"units": "K"})
    kelvin.to_dataset(name="sst").to_netcdf(tmp_path / "theirs.nc")
    errors = said(check([tmp_path / "theirs.nc"]), "error")
    assert "sst: units K; needed: degrees_C" in errors
    assert "no coordinate latitude" in errors
    (tmp_path / "no.nc").write_text("words")
    with pytest.raises(InputError, match=r"no\.nc: cannot be opened"):
        check([tmp_path / "no.nc"])
    with pytest.raises(InputError, match=r"gone\.zarr: no such store"):
        check([tmp_path / "gone.zarr"])


def test_observations_have_checks_of_their_own():
    place = {"time": ("obs", np.array(["2020-01-01", "NaT"], "datetime64[ns]")), "latitude": ("obs", [1.0, 2])}
    obs = xr.Dataset({"thetao": ("obs", [1.0, 2])}, place)
    errors = said(report(obs), "error")
    assert "time is missing for 1 observations" in errors
    assert "no longitude for each observation" in errors
    whole = obs.assign_coords(time=("obs", obs.time.values[[0, 0]]), longitude=("obs", [3.0, 4]))
    assert said(report(whole), "error") == ""


@pytest.mark.real
def test_a_real_file_is_told_what_it_lacks(real):
    errors = said(check([real("glorys/GLORYS_NA_20120101.nc")]), "error")
    assert errors.splitlines() == [line for line in errors.splitlines() if "no mask" in line]
