"""NeuralOM's files there and back: bit for bit, and what would be silently wrong refused."""

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import (
    AIR,
    coded,
    neuralom_order,
    read_hdf5,
    same_bits,
    sea_mask,
    stack,
    write_hdf5,
)

import oceanx.data as data
from oceanx.data.readers import neuralom as reader
from oceanx.export import export
from oceanx.export import neuralom as writer
from oceanx.ocean import climatology as seasons
from oceanx.vocabulary.errors import InputError

ORDER = neuralom_order()
COLUMNS = 4


def baked(folder, values, name="2019.h5", **options):
    """The store of one file."""
    path = write_hdf5(folder / name, "fields", values)
    told = {f"options.{key}": value for key, value in {"resolution": 90, **options}.items()}
    return data.bake("neuralom", path, folder / f"{name}.zarr", **told)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sampled_from(["north_to_south", "south_to_north"]),
    first_longitude=st.sampled_from([-180.0, 0.0, -90.0]),
    dropped_row=st.sampled_from(["none", "first", "last"]),
    land=st.sampled_from(["nan", "zero"]),
)
def test_file_to_store_to_file_is_bitwise_equal(tmp_path_factory, rows, first_longitude, dropped_row, land):
    folder = tmp_path_factory.mktemp("there_and_back")
    height = 3 if dropped_row == "none" else 2
    values = stack(ORDER, 2, height, COLUMNS, land=0.0 if land == "zero" else np.nan)
    told = {"rows": rows, "first_longitude": first_longitude, "land": land}
    there = told | {"first_day": "2020-02-28"}
    if dropped_row != "none":
        there["dropped_row"] = dropped_row
    if land == "zero":
        mask = sea_mask(ORDER, height, COLUMNS)[None, :93]
        there["mask"] = str(write_hdf5(folder / "land_mask.h5", "fields", mask))
    ds = baked(folder, values, "x.h5", **there)
    files = export("neuralom", ds, folder / "back", partial=True, **told)
    assert [file.name for file in files] == ["2020.h5", "land_mask.h5"]
    assert same_bits(read_hdf5(files[0], "fields"), values)
    np.testing.assert_array_equal(read_hdf5(files[1], "fields")[0, :93], sea_mask(ORDER, height, COLUMNS)[:93])


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """A year of the published layout, small, and its store."""
    folder = tmp_path_factory.mktemp("year")
    values = stack(ORDER, 365, 3, COLUMNS)
    return values, baked(folder, values)


def test_years_are_files_of_their_own(tmp_path):
    """A common year and a leap year, whole."""
    for y, days in (("2019", 365), ("2020", 366)):
        write_hdf5(tmp_path / f"{y}.h5", "fields", stack(ORDER, days, 2, 2))
    ds = data.bake("neuralom", tmp_path / "20*.h5", tmp_path / "s.zarr", **{"options.resolution": 180})
    assert ds.sizes["time"] == 731
    seen = []
    files = export("neuralom", ds, tmp_path / "back", progress=lambda *said: seen.append(said), land_mask=False)
    assert [file.name for file in files] == ["2019.h5", "2020.h5"]
    for file in files:
        assert same_bits(read_hdf5(file, "fields"), read_hdf5(tmp_path / file.name, "fields"))
    assert seen[-1][1] == seen[-1][2]
    assert [said[1] for said in seen] == sorted(said[1] for said in seen)


def test_blocks_bound_the_memory(year, tmp_path, monkeypatch):
    values, ds = year
    monkeypatch.setattr("oceanx.export.yearly._BLOCK", 4 * 23 * 3 * COLUMNS * 50)
    held = []
    arranged = writer.Way.arranged
    monkeypatch.setattr(writer.Way, "arranged", lambda *a: held.append(a[2].shape[0]) or arranged(*a))
    (file, _) = export("neuralom", ds, tmp_path / "back")
    assert same_bits(read_hdf5(file, "fields"), values)
    assert max(held[: 365 // 50]) == 50


def test_a_store_on_other_levels_and_rows_is_laid_out_by_label(year, tmp_path):
    values, ds = year
    deeper = ds.reindex(depth=[*ds.depth.values, 700.0, 800.0]).isel(latitude=slice(1, None))
    deeper = deeper.drop_vars(["mask", "cell_area", "thickness"])
    (file,) = export("neuralom", deeper, tmp_path / "padded", pad=True)
    back = read_hdf5(file, "fields")
    assert same_bits(back[:, :, :-1], values[:, :, :-1])  # the south pole was left out
    assert np.isnan(back[:, :, -1]).all()
    (file,) = export("neuralom", ds, tmp_path / "short", dropped_row="last", land_mask=False)
    assert same_bits(read_hdf5(file, "fields"), values[:, :, :-1])
    with pytest.raises(InputError, match=r"depth: the level nearest to 643\.567 m is 541\.089 m; NeuralOM files have"):
        export("neuralom", ds.isel(depth=slice(0, 22)), tmp_path / "x")
    odd = ds.assign_coords(latitude=[-80.0, 0.0, 81.0])
    with pytest.raises(InputError, match="does not lie on a grid with both poles"):
        export("neuralom", odd, tmp_path / "x", pad=True)
    with pytest.raises(InputError, match="longitude: no column at 17 "):
        export("neuralom", ds, tmp_path / "x", first_longitude=17)


def test_two_sides_of_the_date_line_become_one_file(tmp_path):
    values = stack(ORDER, 3, 3, COLUMNS)
    region = {"latitude": [20, 40], "longitude": [160, -170], "first_day": "2020-01-01"}
    sides = [baked(tmp_path, values, f"{side}.h5", side=side, **region) for side in ("west", "east")]
    ds = xr.concat([side.drop_vars(["mask", "cell_area"]) for side in sides], "longitude")
    assert ds.longitude.values.tolist() == [-180, -170, 160, 170]
    (file,) = export("neuralom", ds, tmp_path / "back", first_longitude=160, partial=True)
    assert same_bits(read_hdf5(file, "fields"), values)


def test_unfinished_years_and_missing_days_are_refused(year, tmp_path):
    _, ds = year
    with pytest.raises(InputError, match=r"2019 lacks 265 of 365 days \(first 2019-04-11\)"):
        export("neuralom", ds.isel(time=slice(0, 100)), tmp_path / "x")
    with pytest.raises(InputError, match=r"2019 lacks 1 of 365 days \(first 2019-07-01\)"):
        export("neuralom", ds.assign_attrs(missing_times=["2019-07-01"]), tmp_path / "x")
    leap = ds.assign_coords(time=np.arange("2020-01-01", "2020-12-31", dtype="datetime64[D]").astype("M8[ns]"))
    with pytest.raises(InputError, match=r"first 2020-12-31.*say absent_day='12-31'"):
        export("neuralom", leap, tmp_path / "x")
    with pytest.raises(InputError, match="expected ascending days at 00:00"):
        export("neuralom", ds.assign_coords(time=ds.time + np.timedelta64(12, "h")), tmp_path / "x")
    (file,) = export("neuralom", ds.isel(time=slice(0, 2)), tmp_path / "part", partial=True, land_mask=False)
    assert read_hdf5(file, "fields").shape == (2, 97, 3, COLUMNS)


def test_what_exists_is_kept(year, tmp_path):
    _, ds = year
    two = ds.isel(time=slice(0, 2))
    export("neuralom", two, tmp_path / "back", partial=True)
    before = (tmp_path / "back/2019.h5").read_bytes()
    with pytest.raises(InputError, match=r"2019\.h5: exists already"):
        export("neuralom", ds, tmp_path / "back")
    broken = two.assign(zos=two.zos.where(two.zos < -9))
    with pytest.raises(InputError, match=r"zos: .* missing values at sea"):  # after four variables were written
        export("neuralom", broken, tmp_path / "back", partial=True, land="zero", overwrite=True)
    assert (tmp_path / "back/2019.h5").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "back").iterdir()) == ["2019.h5", "land_mask.h5"]
    export("neuralom", ds, tmp_path / "back", overwrite=True)
    assert read_hdf5(tmp_path / "back/2019.h5", "fields").shape[0] == 365
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: is a file; expected a folder"):
        export("neuralom", ds, tmp_path / "file")


def test_names_and_options_are_checked(year, tmp_path):
    _, ds = year
    with pytest.raises(InputError, match="unknown export 'neuralon'; did you mean 'neuralom'"):
        export("neuralon", ds, tmp_path / "x")
    with pytest.raises(InputError, match="unknown option of export neuralom 'lands'; did you mean 'land'"):
        export("neuralom", ds, tmp_path / "x", lands="nan")
    with pytest.raises(InputError, match=r"export: rows: .*found 'up'"):
        export("neuralom", ds, tmp_path / "x", rows="up")
    with pytest.raises(InputError, match="no variable msl; NeuralOM files hold so, uo"):
        export("neuralom", ds.drop_vars("msl"), tmp_path / "x")
    kelvin = ds.assign(thetao=ds.thetao.assign_attrs(units="K"))
    with pytest.raises(InputError, match="thetao: found units 'K', expected 'degrees_C'"):
        export("neuralom", kelvin, tmp_path / "x")
    assert not (tmp_path / "x").exists() or not list((tmp_path / "x").iterdir())


def season_of(ds):
    """A climatology by day of the year whose numbers are known: level + day / 100."""
    like = ds[["so", "thetao", "zos"]].isel(time=0, drop=True).load()
    days = xr.DataArray(np.arange(1, 367), dims="dayofyear", coords={"dayofyear": np.arange(1, 367)})
    level = xr.DataArray(np.arange(23.0), dims="depth", coords={"depth": ds.depth})
    return xr.Dataset({
        name: (days / 100 + (level if "depth" in v.dims else 0)).where(v.notnull()).astype("f4").assign_attrs(v.attrs)
        for name, v in like.items()
    })  # fmt: skip


def test_anomalies_become_totals_and_totals_are_not_taken_for_anomalies(year, tmp_path):
    _, ds = year
    two = ds.isel(time=slice(0, 2))
    season = season_of(ds)
    anomalies = seasons.anomaly(two[["so", "thetao", "zos"]], season)
    for v in anomalies.data_vars.values():
        v.attrs["oceanx_quantity"] = "anomaly"
    departed = two.assign(anomalies.data_vars)
    with pytest.raises(InputError, match=r"so, thetao, zos: NeuralOM files hold the total, and the Dataset the other"):
        export("neuralom", departed, tmp_path / "x", partial=True)
    (file, *_) = export("neuralom", departed, tmp_path / "back", partial=True, climatology=season)
    values = read_hdf5(file, "fields")
    expected = stack(ORDER, 365, 3, COLUMNS)[:2]
    np.testing.assert_allclose(values, expected, rtol=0, atol=5e-6 * 40)
    assert same_bits(values[:, 23:69], expected[:, 23:69])
    (file, *_) = export(
        "neuralom",
        departed,
        tmp_path / "kept",
        partial=True,
        quantity=dict.fromkeys(["so", "thetao", "zos"], "anomaly"),
    )
    np.testing.assert_array_equal(read_hdf5(file, "fields")[:, 92], anomalies.zos.values[:, ::-1])


def test_the_climatology_file(year, tmp_path):
    _, ds = year
    export("neuralom", ds.isel(time=[0]), tmp_path / "back", partial=True, climatology=season_of(ds))
    values = np.load(tmp_path / "back/climate_mean_s_t_ssh.npy")
    assert values.shape == (365, 97, 3, COLUMNS)
    assert values.dtype == np.float32
    day = np.r_[1:60, 61:367] / 100  # without 29 February, the 60th day of a leap year
    sea = 3, 0, 1  # a level, and a cell that is wet there
    np.testing.assert_allclose(values[:, 69 + sea[0], 2, 1], sea[0] + day, rtol=1e-6)
    np.testing.assert_allclose(values[:, 22, 2, 3], 22 + day, rtol=1e-6)
    np.testing.assert_allclose(values[:, 92, 2, 1], day, rtol=1e-6)
    assert (values[:, 23:69] == 0).all()
    assert (values[:, 93:] == 0).all()
    assert np.isnan(values[:, 0, 0, 0]).all()  # land, in the file's first row


def test_computed_statistics(year, tmp_path):
    """Against area-weighted moments by hand, over the sea, of one level."""
    values, ds = year
    with pytest.raises(InputError, match="of so, thetao, zos are of anomalies; give climatology=2019:2019 too"):
        export("neuralom", ds, tmp_path / "x", statistics="2019:2019")
    export("neuralom", ds, tmp_path / "back", statistics="2019:2019", climatology=season_of(ds))
    mean, std = (np.load(tmp_path / f"back/{kind}_s_t_ssh.npy") for kind in ("mean", "std"))
    assert mean.shape == std.shape == (1, 97, 1, 1)
    assert mean.dtype == np.float64
    # Rows at 90, 0 and −90: caps of 45 degrees, and the band between.
    cap = (1 - np.sin(np.pi / 4)) / 2
    weight = np.broadcast_to(np.array([cap, 1 - 2 * cap, cap])[:, None], (3, COLUMNS))
    day = np.r_[1:60, 61:367] / 100
    for channel, (name, level) in enumerate(ORDER):
        if (name, level) not in {("so", 2), ("uo", 22), ("zos", 0), ("msl", 0)}:
            continue
        field = values[:, channel].astype("f8")
        if name in ("so", "zos"):
            field = field - (day + (level if name == "so" else 0))[:, None, None]
        wet = sea_mask(ORDER, 3, COLUMNS)[channel] == 1
        wet = wet if name not in AIR else sea_mask(ORDER, 3, COLUMNS)[0] == 1  # the forcing counts over the sea
        w = np.broadcast_to(weight * wet, field.shape)
        field = np.where(w > 0, field, 0)
        expected = (field * w).sum() / w.sum()
        spread = np.sqrt((w * (field - expected) ** 2).sum() / w.sum())
        assert mean[0, channel, 0, 0] == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert std[0, channel, 0, 0] == pytest.approx(spread, rel=1e-3)


def test_given_statistics_pass_through_unchanged(year, tmp_path):
    _, ds = year
    rng = np.random.default_rng(1)
    for kind in ("mean", "std"):
        np.save(tmp_path / f"{kind}.npy", rng.random((1, 97, 1, 1)))
    pair = [str(tmp_path / "mean.npy"), str(tmp_path / "std.npy")]
    files = export("neuralom", ds.isel(time=[0]), tmp_path / "back", partial=True, statistics=pair)
    assert [file.name for file in files] == ["2019.h5", "land_mask.h5", "mean_s_t_ssh.npy", "std_s_t_ssh.npy"]
    for kind in ("mean", "std"):
        assert (tmp_path / f"back/{kind}_s_t_ssh.npy").read_bytes() == (tmp_path / f"{kind}.npy").read_bytes()
    with pytest.raises(InputError, match="expected the two files of mean and spread"):
        export("neuralom", ds.isel(time=[0]), tmp_path / "y", partial=True, statistics=[pair[0]])
    export("neuralom", ds.isel(time=[0]), tmp_path / "z", partial=True, statistics=reader.statistics(*pair))
    assert (tmp_path / "z/mean_s_t_ssh.npy").read_bytes() == (tmp_path / "mean.npy").read_bytes()


@pytest.mark.real
@pytest.mark.parametrize("which", ["s_t_ssh", "atmos"])
def test_released_statistics_come_back_byte_for_byte(real, tmp_path, which):
    released = [real(f"neuralom/{kind}_{which}.npy") for kind in ("mean", "std")]
    written = writer.statistics(reader.statistics(*released), tmp_path)
    for before, after in zip(released, written, strict=True):
        assert before.name == after.name
        assert before.read_bytes() == after.read_bytes()


def test_zero_land_hides_no_gap_at_sea(year, tmp_path):
    _, ds = year
    day = ds.isel(time=slice(0, 1)).load()
    day.uo[0, 3, 1, 2] = np.nan
    with pytest.raises(InputError, match="uo: 1 missing values at sea, which land: zero would turn into water of 0"):
        export("neuralom", day, tmp_path / "x", partial=True, land="zero")


def test_a_file_says_what_is_in_it(year, tmp_path):
    _, ds = year
    (file, *_) = export("neuralom", ds.isel(time=[0]), tmp_path / "back", partial=True)
    with h5py.File(file) as held:
        assert "thetao 69:92 (total)" in held.attrs["channels"]
        assert held.attrs["orientation"] == "rows north to south, first longitude -180"
        assert held.attrs["oceanx_fingerprint"] == ds.attrs["oceanx_fingerprint"]


def test_the_atmosphere_needs_no_sea(tmp_path):
    """Channels 93 to 96 have values on land, and keep them."""
    values = stack(ORDER, 1, 3, COLUMNS)
    ds = baked(tmp_path, values, first_day="2019-01-01")
    (file, *_) = export("neuralom", ds, tmp_path / "back", partial=True, land="zero")
    np.testing.assert_array_equal(read_hdf5(file, "fields")[:, 95], coded("t2m", 0, 1, 3, COLUMNS))
