"""Files of published systems, read: every channel under its label, and what is not said refused."""

import pickle

import h5py
import netCDF4
import numpy as np
import pytest
from published_files import (
    AIR,
    DEPTHS,
    coded,
    dry_cells,
    hybridom_order,
    neuralom_order,
    sea_mask,
    stack,
    write_hdf5,
    write_netcdf,
)

import oceanx.data as data
from oceanx.data.formats.part import everything
from oceanx.data.readers import hybridom, neuralom, ocean_e2e
from oceanx.vocabulary.errors import InputError

ROWS, COLUMNS = 4, 6  # from pole to pole at 60 degrees
SMALL = {"resolution": 60, "first_day": "2020-02-27"}


def overrides(**options):
    return {f"options.{key}": value for key, value in options.items()}


def field(name, level, days, *, flipped=False, rows=ROWS, columns=COLUMNS):
    """A channel as it must stand in a Dataset: rows south to north, land NaN."""
    values = coded(name, level, days, rows, columns)
    if name not in AIR:
        values[:, dry_cells(level, rows, columns)] = np.nan
    return values[:, ::-1] if flipped else values


def test_every_number_has_its_label(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", "fields", stack(neuralom_order(), 4, ROWS, COLUMNS))
    ds = data.bake("neuralom", path, tmp_path / "s.zarr", **overrides(**SMALL))
    assert ds.latitude.values.tolist() == [-90, -30, 30, 90]
    assert ds.longitude.values.tolist() == [-180, -120, -60, 0, 60, 120]
    days = ["2020-02-27", "2020-02-28", "2020-02-29", "2020-03-01"]
    assert ds.time.values.tolist() == np.array(days, "datetime64[ns]").tolist()
    np.testing.assert_allclose(ds.depth, DEPTHS, atol=1e-6)
    for name, level in neuralom_order():
        held = ds[name].isel(depth=level) if "depth" in ds[name].dims else ds[name]
        np.testing.assert_array_equal(held, field(name, level, 4, flipped=True))
        assert "oceanx_quantity" not in held.attrs
    assert np.unique(ds.thetao.values[np.isfinite(ds.thetao)]).size == int(np.isfinite(ds.thetao).sum())
    # Day 1, fourth row from the north, third column: counted by hand.
    place = ds.so.sel(time="2020-02-28", depth=DEPTHS[2], latitude=-90, longitude=-60, method="nearest")
    assert float(place) == np.float32(34 + 3 * (2 + (1 * 24 + 3 * 6 + 2) / 96) / 23)
    assert "rows north to south" in ds.attrs["comment"]
    assert "anomalies: none" in ds.attrs["comment"]


def test_hybridom_rows_run_north_and_anomalies_are_said(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", "data", stack(hybridom_order(), 3, ROWS - 1, COLUMNS))
    ds = hybridom.read(path, **SMALL)
    assert ds.latitude.values.tolist() == [-90, -30, 30]  # the last row, the north pole, is not there
    for name, level in hybridom_order():
        held = ds[name].isel(depth=level) if "depth" in ds[name].dims else ds[name]
        np.testing.assert_array_equal(held, field(name, level, 3, rows=ROWS - 1))
        anomaly = name in ("thetao", "so", "zos")
        assert (held.attrs.get("oceanx_quantity") == "anomaly") == anomaly
        assert held.attrs["long_name"].endswith("anomaly") == anomaly
    assert ds.thetao.attrs["units_metadata"] == "temperature: difference"
    assert ds.thetao.attrs["standard_name"] == "sea_water_potential_temperature"
    totals = hybridom.read(path, **SMALL, quantity={"thetao": "total"})
    assert "oceanx_quantity" not in totals.thetao.attrs
    assert totals.so.attrs["oceanx_quantity"] == "anomaly"


def test_a_store_carries_what_was_told(tmp_path):
    path = write_hdf5(tmp_path / "GLORYS_025_2019.h5", "data", stack(hybridom_order(12), 365, 3, COLUMNS))
    ds = data.bake("hybridom", path, tmp_path / "s.zarr", **overrides(resolution=60, levels=12, dropped_row="first"))
    assert ds.time.values[0] == np.datetime64("2019-01-01")
    assert ds.sizes["time"] == 365
    assert ds.latitude.values.tolist() == [-30, 30, 90]
    np.testing.assert_allclose(ds.depth, DEPTHS[::2], atol=1e-6)
    assert "anomalies: zos, thetao, so" in ds.attrs["comment"]
    assert "but for the first row" in ds.attrs["comment"]


@pytest.mark.parametrize(
    ("options", "latitude", "longitude"),
    [
        ({"resolution": 60}, [-90, -30, 30, 90], [-180, -120, -60, 0, 60, 120]),
        ({"resolution": 60, "first_longitude": 0}, [-90, -30, 30, 90], [-180, -120, -60, 0, 60, 120]),
        ({"resolution": 60, "rows": "south_to_north"}, [-90, -30, 30, 90], [-180, -120, -60, 0, 60, 120]),
        ({"latitude": [20, 35], "longitude": [-80, -30]}, [20, 25, 30, 35], [-80, -70, -60, -50, -40, -30]),
        ({"latitude": [20, 35], "longitude": [160, -150], "side": "east"}, [20, 25, 30, 35], [160, 170]),
        ({"latitude": [20, 35], "longitude": [160, 210], "side": "west"}, [20, 25, 30, 35], [-180, -170, -160, -150]),
    ],
)
def test_orientation(tmp_path, options, latitude, longitude):
    path = write_hdf5(tmp_path / "x.h5", "fields", stack(neuralom_order(), 2, ROWS, COLUMNS))
    ds = neuralom.read(path, first_day="2020-01-01", **options)
    np.testing.assert_allclose(ds.latitude, latitude)
    np.testing.assert_allclose(ds.longitude, longitude)
    raw = coded("msl", 0, 2, ROWS, COLUMNS)
    rows = np.arange(ROWS) if options.get("rows") == "south_to_north" else np.arange(ROWS)[::-1]
    columns = np.arange(COLUMNS)
    if options.get("first_longitude") == 0:
        columns = np.array([3, 4, 5, 0, 1, 2])  # the file's fourth column is 180, which is −180
    columns = {"east": columns[:2], "west": columns[2:]}.get(options.get("side"), columns)
    np.testing.assert_array_equal(ds.msl, raw[:, rows][:, :, columns])


def test_the_year_comes_from_the_name_or_the_option_never_from_the_place(tmp_path):
    values = stack([("sst", 0), ("u10", 0), ("v10", 0), ("t2m", 0)], 365, 3, COLUMNS)
    for name in ("mhw_2021.nc", "mhw_2019.nc"):
        write_netcdf(tmp_path / name, mhws_variables=values)
    ds = data.bake("ocean_e2e", tmp_path / "*.nc", tmp_path / "s.zarr", **overrides(resolution=60), max_missing=1)
    assert ds.sel(time="2019").sst.notnull().any("longitude").all()
    assert ds.sel(time="2020").sst.isnull().all()  # not a file that happens to be second
    assert ocean_e2e.read(tmp_path / "mhw_2019.nc", resolution=60, year=2003).time.dt.year.values[0] == 2003
    write_netcdf(tmp_path / "mhw.nc", mhws_variables=values)
    with pytest.raises(InputError, match=r"mhw\.nc: the name tells no year; say year"):
        ocean_e2e.read(tmp_path / "mhw.nc", resolution=60)


def test_leap_years_of_365_days_must_say_which_day_is_absent(tmp_path):
    path = write_netcdf(tmp_path / "geo_2020.nc", mhws_variables=stack([("ugos", 0), ("vgos", 0)], 365, 3, COLUMNS))
    with pytest.raises(InputError, match=r"365 days; expected 366 in 2020; is 29 February or 31 December absent"):
        ocean_e2e.read(path, resolution=60)
    february = ocean_e2e.read(path, resolution=60, absent_day="02-29")
    assert february.time.values[58:60].tolist() == np.array(["2020-02-28", "2020-03-01"], "datetime64[ns]").tolist()
    december = ocean_e2e.read(path, resolution=60, absent_day="12-31")
    assert december.time.values[[59, -1]].tolist() == np.array(["2020-02-29", "2020-12-30"], "datetime64[ns]").tolist()
    ds = data.bake("ocean_e2e", path, tmp_path / "s.zarr", **overrides(resolution=60, absent_day="02-29"))
    assert ds.attrs["missing_times"] == ["2020-02-29"]
    assert "geo_2020.nc lacks 2020-02-29" in ds.attrs["comment"]


def test_land_of_zeros_becomes_nan_by_the_systems_mask(tmp_path):
    order = neuralom_order()
    path = write_hdf5(tmp_path / "x.h5", "fields", stack(order, 2, ROWS, COLUMNS, land=0.0))
    mask = write_hdf5(tmp_path / "land_mask.h5", "fields", sea_mask(order, ROWS, COLUMNS)[None, :93])
    ds = neuralom.read(path, **SMALL, land="zero", mask=str(mask))
    for name, level in order:
        held = ds[name].isel(depth=level) if "depth" in ds[name].dims else ds[name]
        np.testing.assert_array_equal(held, field(name, level, 2, flipped=True))
    with pytest.raises(InputError, match=r"x\.h5: land is 0 there, which water can be too; give mask"):
        neuralom.read(path, **SMALL, land="zero")
    with pytest.raises(InputError, match="a mask is given, but land is NaN"):
        neuralom.read(path, **SMALL, mask=str(mask))
    upside_down = write_hdf5(tmp_path / "down.h5", "fields", sea_mask(order, ROWS, COLUMNS)[None, :93, ::-1])
    with pytest.raises(InputError, match=r"row 3, column 0, which the mask calls land; expected 0"):
        neuralom.read(path, **SMALL, land="zero", mask=str(upside_down))


def test_masks_by_level_and_of_one_row_fewer(tmp_path):
    order = hybridom_order()
    values = stack(order, 2, ROWS, COLUMNS, land=0.0)
    values[:, :97, -1] = 0
    path = write_hdf5(tmp_path / "x.h5", "data", values)
    levels = np.stack([1.0 - dry_cells(level, ROWS, COLUMNS) for level in range(23)])
    np.save(tmp_path / "mask.npy", levels[:, :-1])
    ds = hybridom.read(path, **SMALL, land="zero", mask=str(tmp_path / "mask.npy"))
    np.testing.assert_array_equal(ds.so.isel(depth=20)[:, :-1], field("so", 20, 2)[:, :-1])
    np.testing.assert_array_equal(ds.zos[:, :-1], field("zos", 0, 2)[:, :-1])
    assert ds.so.isel(latitude=-1).isnull().all()
    np.save(tmp_path / "small.npy", levels[:, :2])
    with pytest.raises(InputError, match=r"small\.npy: has shape \(23, 2, 6\); expected \(channel or level, 4, 6\)"):
        hybridom.read(path, **SMALL, land="zero", mask=str(tmp_path / "small.npy"))
    np.save(tmp_path / "few.npy", levels[:12])
    with pytest.raises(InputError, match=r"few\.npy: has 12 maps; expected at least 23 for uo"):
        hybridom.read(path, **SMALL, land="zero", mask=str(tmp_path / "few.npy"))
    (tmp_path / "text.npy").write_text("1 0 1")
    with pytest.raises(InputError, match=r"text\.npy: is no \.npy file"):
        hybridom.read(path, **SMALL, land="zero", mask=str(tmp_path / "text.npy"))


def test_scaled_forcing_needs_its_scaling_and_becomes_physical(tmp_path):
    rng = np.random.default_rng(0)
    raw = rng.random((3, 8, 3, COLUMNS), dtype="f4")
    path = write_hdf5(tmp_path / "WenHai_forcing_05_2019.h5", "data", raw)
    small = {"resolution": 60, "first_day": "2019-01-01", "content": "wenhai"}
    with pytest.raises(InputError, match=r"scaled numbers, and do not say how str, ssr, sshf, slhf, .* were scaled"):
        hybridom.read(path, **small)
    names = ["str", "ssr", "sshf", "slhf", "tauuo", "tauvo", "evs", "mtpr"]
    limits = {
        "str": (-250.0, 120.0), "ssr": (0.0, 390.0), "sshf": (-700.0, 300.0), "slhf": (-1200.0, 200.0),
        "tauuo": (-4.0, 5.0), "tauvo": (-4.5, 4.0), "evs": (-1e-4, 5e-4), "mtpr": (0.0, 0.01),
    }  # fmt: skip
    ds = hybridom.read(path, **small, scaling=limits)
    for channel, name in enumerate(names):
        low, high = limits[name]
        expected = (low + raw[:, channel].astype("f8") * (high - low)).astype("f4")
        np.testing.assert_array_equal(ds[name], expected)
    assert ds.ssr.attrs["units"] == "W m-2"
    with pytest.raises(InputError, match=r"scaling of ssr: \[1, 1\]; expected two different values"):
        hybridom.read(path, **small, scaling=limits | {"ssr": (1.0, 1.0)})


def test_normalised_anomalies_need_their_scaling(tmp_path):
    raw = coded("sst", 0, 365, 3, COLUMNS)
    path = write_netcdf(tmp_path / "CMEMS_2019_norm.nc", ssta_highres=raw)
    with pytest.raises(InputError, match=r"do not say how sst .*\[0, 1\] if nothing was scaled"):
        ocean_e2e.read(path, resolution=60)
    ds = ocean_e2e.read(path, resolution=60, scaling={"sst": [0, 1]})
    np.testing.assert_array_equal(ds.sst, raw)
    assert ds.sst.attrs["oceanx_quantity"] == "anomaly"
    scaled = ocean_e2e.read(path, resolution=60, scaling={"sst": [0.5, 2.0]})
    np.testing.assert_array_equal(scaled.sst, (0.5 + raw.astype("f8") * 1.5).astype("f4"))


def test_what_an_ocean_e2e_file_holds_is_told_from_its_variables(tmp_path):
    five = [("sst", 0), ("zos", 0), ("u10", 0), ("v10", 0), ("t2m", 0)]
    path = write_netcdf(tmp_path / "mhw_2019.nc", mhws_variables=stack(five, 365, 3, COLUMNS))
    ds = ocean_e2e.read(path, resolution=60)
    assert set(ds.data_vars) == {"sst", "zos", "u10", "v10", "t2m"}
    np.testing.assert_array_equal(ds.v10, coded("v10", 0, 365, 3, COLUMNS))
    apart = {"ugos": coded("ugos", 0, 365, 3, COLUMNS), "vgos": coded("vgos", 0, 365, 3, COLUMNS)}
    ds = ocean_e2e.read(write_netcdf(tmp_path / "SSH_low_2019.nc", **apart), resolution=60)
    np.testing.assert_array_equal(ds.vgos, apart["vgos"])
    assert ds.ugos.attrs["standard_name"] == "surface_geostrophic_eastward_sea_water_velocity"
    other = write_netcdf(tmp_path / "mhw_2018.nc", mhws_variables=np.zeros((2, 3, 4, 5)))
    with pytest.raises(InputError, match=r"mhws_variables \(2, 3, 4, 5\); expected .* with 2, 4, 5 channels"):
        ocean_e2e.read(other)


def test_a_repeated_column_is_checked_and_left_out(tmp_path):
    raw = stack([("ugos", 0), ("vgos", 0)], 365, 3, COLUMNS)
    whole = np.concatenate([raw, raw[..., :1]], axis=-1)
    path = write_netcdf(tmp_path / "geo_2019.nc", mhws_variables=whole)
    ds = ocean_e2e.read(path, resolution=60, repeated_column=True)
    np.testing.assert_array_equal(ds.ugos, raw[:, 0])
    with pytest.raises(InputError, match="has 7 columns; expected 6 at resolution 60"):
        ocean_e2e.read(path, resolution=60)
    whole[0, 0, 1, -1] += 1
    write_netcdf(path, mhws_variables=whole)
    with pytest.raises(InputError, match="ugos: the last column is not the first one again"):
        ocean_e2e.read(path, resolution=60, repeated_column=True)


def test_packed_netcdf_is_unpacked(tmp_path):
    with netCDF4.Dataset(tmp_path / "geo_2019.nc", "w") as file:
        for dim, size in (("t", 365), ("c", 2), ("y", 3), ("x", COLUMNS)):
            file.createDimension(dim, size)
        v = file.createVariable("mhws_variables", "i2", ("t", "c", "y", "x"), fill_value=-32767)
        v.setncatts({"scale_factor": 1e-3, "add_offset": 0.5})
        v.set_auto_maskandscale(False)
        v[:] = 1000
        v[0, 0, 0, 0] = -32767
    ds = ocean_e2e.read(tmp_path / "geo_2019.nc", resolution=60)
    assert np.isnan(ds.ugos.values[0, 0, 0])
    assert (ds.vgos == np.float32(1.5)).all()


@pytest.mark.parametrize(
    ("key", "shape", "options", "said"),
    [
        ("data", (2, 97, 4, 6), {}, r"x\.h5: holds data; expected 'fields' \(NeuralOM\)"),
        ("fields", (2, 97, 6), {}, r"fields has shape \(2, 97, 6\); expected \(time, channel, row, column\)"),
        ("fields", (2, 93, 4, 6), {}, r"fields has 93 channels; expected 97 \(NeuralOM: so 23, uo 23"),
        ("fields", (2, 97, 5, 6), {}, r"fields: has 5 rows; expected 4 \(or 3\) at resolution 60"),
        ("fields", (2, 97, 4, 7), {}, "fields: has 7 columns; expected 6 at resolution 60"),
        ("fields", (2, 97, 3, 6), {"dropped_row": "none"}, "one fewer than from pole to pole; say dropped_row"),
        ("fields", (2, 97, 4, 6), {"first_day": None, "year": 2020}, "has 2 days; expected 366 in 2020"),
        ("fields", (2, 97, 4, 6), {"resolution": 0.7}, "resolution: expected degrees that divide 180"),
        ("fields", (2, 97, 4, 6), {"rows": "upwards"}, "x.h5: options: rows: .*, found 'upwards'"),
        ("fields", (2, 97, 4, 6), {"quantity": {"temp": "total"}}, "unknown variable in quantity"),
        ("fields", (2, 97, 4, 6), {"side": "east"}, "do not cross 180; leave `side` out"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, key, shape, options, said):
    path = write_hdf5(tmp_path / "x.h5", key, np.zeros(shape, "f4"))
    with pytest.raises(InputError, match=said):
        neuralom.read(path, **SMALL | options)


def test_a_regional_file_is_not_taken_for_a_global_one(tmp_path):
    path = tmp_path / "GLORYS_pc_025_2019.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (365, 100, 180, 360), "f4", chunks=(1, 1, 180, 360))  # takes no space
    with pytest.raises(InputError, match=r"has 180 rows; expected 361 \(or 360\) at resolution 0\.5; .*latitude"):
        hybridom.parts(path, everything(), tmp_path)


def test_damaged_and_foreign_files(tmp_path):
    path = write_hdf5(tmp_path / "2019.h5", "fields", np.zeros((2, 97, 4, 6), "f4"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"2019\.h5: is damaged or truncated"):
        neuralom.read(path)
    path.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(InputError, match=r"2019\.h5: is not HDF5"):
        neuralom.read(path)
    with pytest.raises(InputError, match=r"2018\.h5: no such file"):
        neuralom.read(tmp_path / "2018.h5")


def test_parts_travel_to_other_processes_and_read_only_what_is_asked(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", "fields", stack(neuralom_order(), 4, ROWS, COLUMNS))
    (part,) = pickle.loads(pickle.dumps(neuralom.parts(path, everything(), tmp_path, **SMALL)))
    with part.open() as source:
        np.testing.assert_array_equal(part.read(source, "zos", [2])[0], field("zos", 0, 4, flipped=True)[2])
        np.testing.assert_array_equal(part.read(source, "zos", [3, 1]), field("zos", 0, 4, flipped=True)[[3, 1]])

        class Spied:
            shape, asked = source["so"].array.shape, []

            def __init__(self, array):
                self.array = array

            def __getitem__(self, index):
                self.asked.append(index)
                return self.array[index]

        spied = Spied(source["so"].array)
        object.__setattr__(source["so"], "array", spied)
        part.read(source, "so", [2])
    assert spied.asked == [(slice(2, 3), slice(0, 23), slice(None), slice(None, 6))]


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "name", "level", "value"),
    [  # the published table, rounded
        ("std", "so", 0, 0.3208), ("std", "so", 22, 0.0421), ("std", "uo", 0, 0.1473), ("std", "uo", 8, 0.1222),
        ("std", "vo", 22, 0.0522), ("std", "thetao", 0, 0.5828), ("std", "thetao", 11, 0.8006),
        ("std", "thetao", 22, 0.3293), ("mean", "uo", 0, -0.0001), ("mean", "uo", 10, 0.0074),
        ("mean", "vo", 0, 0.0040), ("mean", "vo", 7, 0.0012), ("std", "zos", None, 0.0643),
        ("mean", "u10", None, -0.0509), ("std", "v10", None, 4.627), ("mean", "t2m", None, 277.975),
        ("mean", "msl", None, 100966.3), ("std", "msl", None, 1306.66),
    ],
)  # fmt: skip
def test_released_statistics_have_their_labels(real, kind, name, level, value):
    ds = neuralom.statistics(real("neuralom/mean_s_t_ssh.npy"), real("neuralom/std_s_t_ssh.npy"))
    one = ds[f"{name}_{kind}"]
    found = float(one if level is None else one.isel(depth=level))
    assert found == pytest.approx(value, abs=0.5 * 10.0 ** -len(str(value).split(".")[1]) * 1.001)


@pytest.mark.real
def test_released_statistics_of_the_atmosphere(real):
    ds = neuralom.statistics(real("neuralom/mean_atmos.npy"), real("neuralom/std_atmos.npy"))
    assert ds.pressure.values.tolist() == [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
    # Geopotential falls and humidity grows towards the surface; the temperature there is that of the air above it.
    assert (np.diff(ds.z_mean) < 0).all()
    assert ds.q_mean[-1] == ds.q_mean.max()
    assert float(ds.t_mean[-1]) == pytest.approx(float(ds.t2m_mean), abs=5)
    ocean = neuralom.statistics(real("neuralom/mean_s_t_ssh.npy"), real("neuralom/std_s_t_ssh.npy"))
    assert all(float(ds[f"{n}_{k}"]) == float(ocean[f"{n}_{k}"]) for n in AIR for k in ("mean", "std"))


def test_statistics_of_other_shapes_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 93, 1, 1)))
    np.save(tmp_path / "b.npy", np.zeros((1, 97, 1, 1)))
    np.save(tmp_path / "c.npy", np.zeros((1, 69, 1, 1)))
    with pytest.raises(InputError, match=r"a\.npy: has shape \(1, 93, 1, 1\); expected \(1, 97, 1, 1\) or"):
        neuralom.statistics(tmp_path / "a.npy", tmp_path / "b.npy")
    with pytest.raises(InputError, match=r"c\.npy: has 69 channels, but .*b\.npy 97; give a pair"):
        neuralom.statistics(tmp_path / "b.npy", tmp_path / "c.npy")
    (tmp_path / "d.npy").write_text("1 2 3")
    with pytest.raises(InputError, match=r"d\.npy: is no \.npy file"):
        neuralom.statistics(tmp_path / "d.npy", tmp_path / "b.npy")
