"""Scores by start date, season, region and band of depth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from toy_scores import TRUTH, forecast, pairs, score

from oceanx.scores.regions import BASINS, in_polygon
from oceanx.vocabulary.errors import InputError


def test_by_start_date_pools_to_the_whole():
    fc = forecast()
    each = score(fc, TRUTH, metrics=["mse"], by=["init_time"])
    assert each["thetao_mse"].dims == ("init_time", "lead_time", "depth")
    whole = score(fc, TRUTH, metrics=["mse"])
    xr.testing.assert_allclose(each["thetao_mse"].mean("init_time"), whole["thetao_mse"])
    xr.testing.assert_allclose(each.isel(init_time=2, drop=True), score(fc.isel(init_time=[2]), TRUTH, metrics=["mse"]))


def test_season_is_that_of_the_valid_date():
    table = score(forecast(), TRUTH, by=["season"])
    assert table["season"].values.tolist() == ["DJF", "MAM", "JJA", "SON"]
    spring = score(forecast().isel(init_time=[1]), TRUTH)  # starts 30 May: lead 1 in spring, leads 2 to 4 in summer
    lone = table["zos_rmse"].sel(season="MAM")
    assert float(lone[0]) == pytest.approx(float(spring["zos_rmse"][0]), rel=1e-12)
    assert lone[1:].isnull().all()


def test_regions_named_and_given():
    fc = forecast()
    boxes = {
        "north": {"minimum_latitude": 40, "maximum_latitude": 90},
        "whole": "global",
        "wrapped": {
            "minimum_latitude": -90,
            "maximum_latitude": 90,
            "minimum_longitude": -5,
            "maximum_longitude": -35,
        },
    }
    table = score(fc, TRUTH, regions=boxes)
    assert table["zos_rmse"].dims == ("region", "lead_time")
    xr.testing.assert_allclose(table.sel(region="whole", drop=True), score(fc, TRUTH))
    north, north_truth = (x.sel(latitude=slice(40, 90)) for x in (fc, TRUTH))
    xr.testing.assert_allclose(table.sel(region="north", drop=True), score(north, north_truth))
    ends = [x.isel(longitude=[0, 4]) for x in (fc, TRUTH)]
    xr.testing.assert_allclose(table.sel(region="wrapped", drop=True), score(*ends))
    named = score(fc, TRUTH, by=["region"])
    assert {"global", "tropics", "northern_extratropics"} <= set(named["region"].values)
    assert "kuroshio" not in named["region"].values
    with pytest.raises(InputError, match="unknown region 'tropcs'; did you mean 'tropics'"):
        score(fc, TRUTH, regions=["tropcs"])
    with pytest.raises(InputError, match="region 'kuroshio': no cell"):
        score(fc, TRUTH, regions=["kuroshio"])
    with pytest.raises(InputError, match="maximum_latitude"):
        score(fc, TRUTH, regions={"mine": {"minimum_latitude": 3}})


def test_regions_are_found_on_a_grid_across_the_date_line():
    beyond = {"longitude": [150.0, 170.0, 190.0, 210.0, 230.0]}
    fc, truth = (ds.assign_coords(beyond) for ds in (forecast(), TRUTH))
    box = {"minimum_latitude": -90, "maximum_latitude": 90, "minimum_longitude": 165, "maximum_longitude": -150}
    table = score(fc, truth, regions={"pacific": box})
    some = [ds.isel(longitude=[1, 2, 3]) for ds in (fc, truth)]
    xr.testing.assert_allclose(table.sel(region="pacific", drop=True), score(*some))


def test_levels_are_pooled_by_the_thickness_of_their_layers():
    """Layers end at 25.25, 275 and 725 m: a band's edge cuts them."""
    table = score(forecast(), TRUTH, metrics=["mse", "rmse"], depth_bands=[(0, 100), (100, 700)])
    assert table["thetao_mse"].dims == ("depth_band", "lead_time")[::-1]
    assert table["depth_band"].values.tolist() == ["0-100 m", "100-700 m"]
    assert table["zos_mse"].dims == ("lead_time",)
    metres = {"0-100 m": (25.25, 74.75, 0.0), "100-700 m": (0.0, 175.0, 425.0)}
    for band, thickness in metres.items():
        total, volume = 0.0, 0.0
        for level, part in enumerate(thickness):
            f, t, w, _ = pairs(forecast(), "thetao", 2, level)
            total += part * np.sum(w * (f - t) ** 2)
            volume += part * w.sum()
        found = table.sel(depth_band=band).isel(lead_time=2)
        assert float(found["thetao_mse"]) == pytest.approx(total / volume, rel=1e-12)
        assert float(found["thetao_rmse"]) == pytest.approx(np.sqrt(total / volume), rel=1e-12)
    assert table.attrs["oceanx_depth_bands"] == "by the thickness of layers, which end half-way between levels"


def test_bands_of_depth_without_being_told_and_those_that_do_not_fit():
    table = score(forecast(), TRUTH, by=["depth_band"])
    assert table["depth_band"].values.tolist() == ["0-50 m", "50-200 m", "200-600 m", "600-2000 m"]
    whole = score(forecast(), TRUTH, metrics=["mse"], depth_bands=[(0, 725)])
    parts = score(forecast(), TRUTH, metrics=["mse"], depth_bands=[(0, 10), (10, 400), (400, 725)])
    assert float(parts["thetao_mse"].min()) < float(whole["thetao_mse"].mean()) < float(parts["thetao_mse"].max())
    for bands in ([(800, 900)], [(50, 10)], [(-5, 10)]):
        with pytest.raises(InputError, match=r"depth_bands: no layer lies in .* within 0 to 725"):
            score(forecast(), TRUTH, depth_bands=bands)
    with pytest.raises(InputError, match="depth_band: no variable has a depth"):
        score(forecast(), TRUTH, variables=["zos"], by=["depth_band"])


def test_a_polygon_is_the_cells_whose_centres_it_holds():
    fc = forecast()
    triangle = [(-45, 5), (5, 5), (-45, 80)]
    table = score(fc, TRUTH, metrics=["mse"], regions={"triangle": triangle}).squeeze("region", drop=True)
    # Below the line from (5, 5) to (-45, 80): latitude < 5 + 1.5 (5 − longitude).
    held = (TRUTH["latitude"] < 5 + 1.5 * (5 - TRUTH["longitude"])) & TRUTH["mask"].isel(depth=0)
    error = (fc["zos"].astype(float) - TRUTH["zos"].sel(time=fc["valid_time"])) ** 2
    expected = error.weighted(TRUTH["cell_area"].where(held, 0.0)).mean(("latitude", "longitude")).mean("init_time")
    np.testing.assert_allclose(table["zos_mse"], expected, rtol=1e-12)
    shifted = score(fc, TRUTH, metrics=["mse"], regions={"t": [(x + 360, y) for x, y in triangle]})
    np.testing.assert_array_equal(shifted["zos_mse"].squeeze("region"), table["zos_mse"])


def test_regions_from_files_and_masks(tmp_path):
    fc = forecast()
    file = tmp_path / "north.geojson"
    ring = [[-50, 40], [10, 40], [10, 80], [-50, 80], [-50, 40]]
    file.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    box = {"minimum_latitude": 40, "maximum_latitude": 90, "minimum_longitude": -180, "maximum_longitude": 180}
    north = TRUTH["latitude"] > 40
    mask = (north & (TRUTH["longitude"] < 99)).transpose("longitude", "latitude")
    held = {"id": "n", "display_name": "The North", "bounds": box}
    table = score(fc, TRUTH, regions={"file": file, "bounds": held, "mask": mask, "as_int": mask.astype(int)})
    expected = score(fc, TRUTH, regions={"n": box}).squeeze("region", drop=True)
    for name in table["region"].values:
        xr.testing.assert_allclose(table.sel(region=name, drop=True), expected)


def test_a_field_of_labels_has_a_region_for_each():
    labels = xr.where(TRUTH["latitude"] > 40, 2, 1) * xr.ones_like(TRUTH["longitude"], dtype=int)
    labels = labels.where(TRUTH["longitude"] < -5, 0).assign_attrs(flag_values=[1, 2], flag_meanings="south north")
    table = score(forecast(), TRUTH, regions=labels)
    assert table["region"].values.tolist() == ["south", "north"]
    box = {"minimum_latitude": 40, "maximum_latitude": 90, "maximum_longitude": -5}
    expected = score(forecast(), TRUTH, regions={"north": box})
    xr.testing.assert_allclose(table.sel(region=["north"]), expected)
    bare = score(forecast(), TRUTH, regions=labels.drop_attrs())
    assert bare["region"].values.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"here": xr.ones_like(TRUTH["cell_area"]).isel(latitude=slice(2))}, "region 'here': latitude: grids differ"),
        ({"here": TRUTH["mask"]}, "region 'here': found dimensions"),
        ({"here": [(0, 0), (1, 1)]}, "region 'here': expected at least three corners"),
        ({"here": 5}, "region 'here': found int; expected a name, a box, corners or a mask"),
        ({"here": "none.geojson"}, "region 'here': none.geojson: cannot be read"),
        (TRUTH["cell_area"] > 0, "regions: is a mask of True and False; name it"),
        (TRUTH["cell_area"] * 0, "regions: no cell has a number above 0"),
        (["pacific"], "region 'pacific': no cell of this grid lies in it"),
        (["atlantik"], "unknown region 'atlantik'; did you mean 'atlantic'"),
    ],
)
def test_regions_that_are_none_are_refused(regions, message):
    with pytest.raises(InputError, match=message):
        score(forecast(), TRUTH, regions=regions)


PLACES = {
    "atlantic": [(-30, 50), (-30, -30), (-60, 30), (-90, 25), (-75, 15), (-60, 0), (5, 0), (10, -20), (18, -33),
                 (-75, 35), (-20, 65), (-55, 60), (-82, 12), (-15, 44), (3, 55)],
    "pacific": [(180, 0), (-150, 50), (150, 30), (-90, 0), (-80, 3), (-78, -10), (-75, -30), (160, -30), (115, 15),
                (125, 35), (-110, 20), (-95, 14), (145, 55), (178, 60), (150, -25)],
    "indian": [(60, 0), (90, 15), (65, 20), (38, 20), (45, -25), (100, -30), (115, -20), (97, 8), (128, -10)],
    "arctic": [(0, 80), (180, 75), (-120, 72)],
    "southern": [(0, -50), (180, -60), (-90, -40), (140, -45)],
}  # fmt: skip


def test_basins_hold_the_places_they_are_known_for_and_do_not_overlap():
    for basin, places in PLACES.items():
        for lon, lat in places:
            axes = [xr.DataArray([x], dims=d) for d, x in (("latitude", float(lat)), ("longitude", float(lon)))]
            found = [name for name in BASINS if in_polygon([np.array(BASINS[name])], *axes).all()]
            assert found == [basin], (lon, lat, found)


@pytest.mark.real
def test_basins_agree_with_the_world_ocean_atlas(real):
    """Of the open oceans' cells of the atlas, nearly all lie in the rough basin of that name, or south of 35° S."""
    with xr.open_dataset(real("static/basin_mask.nc")) as ds:
        codes = ds["basin"].isel(Z=0).load()
    lat, lon = codes["Y"].rename(Y="latitude"), codes["X"].rename(X="longitude")
    area = np.cos(np.deg2rad(lat.values))[:, None] * np.ones(lon.size)
    here = {name: in_polygon([np.array(ring)], lat, lon) for name, ring in BASINS.items()}
    for code, name in ((1, "atlantic"), (2, "pacific"), (3, "indian"), (11, "arctic")):
        theirs = (codes.values == code) & (np.abs(lat.values)[:, None] < 90)
        theirs &= (lat.values[:, None] > -35) & ((lat.values[:, None] < 66) | (name == "arctic"))
        theirs &= (lat.values[:, None] > 66) | (name != "arctic")
        assert area[theirs & here[name]].sum() / area[theirs].sum() > 0.98, name
    south = (codes.values == 10) & (lat.values[:, None] < -35)
    assert (here["southern"] & south).sum() == south.sum()
