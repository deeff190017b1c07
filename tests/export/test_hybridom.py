"""HybridOM's files there and back."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import hybridom_order, neuralom_order, read_hdf5, same_bits, sea_mask, stack, write_hdf5

import oceanx.data as data
from oceanx.export import export
from oceanx.vocabulary.errors import InputError

COLUMNS = 4


def overrides(**options):
    return {f"options.{key}": value for key, value in options.items()}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    levels=st.sampled_from([12, 23]),
    rows=st.sampled_from(["north_to_south", "south_to_north"]),
    first_longitude=st.sampled_from([-180.0, 0.0]),
    dropped_row=st.sampled_from(["first", "last"]),
    land=st.sampled_from(["nan", "zero"]),
)
def test_file_to_store_to_file_is_bitwise_equal(tmp_path_factory, levels, rows, first_longitude, dropped_row, land):
    folder = tmp_path_factory.mktemp("there_and_back")
    order = hybridom_order(levels)
    values = stack(order, 2, 2, COLUMNS, land=0.0 if land == "zero" else np.nan)
    path = write_hdf5(folder / "GLORYS_05_2020.h5", "data", values)
    told = {"levels": levels, "rows": rows, "first_longitude": first_longitude, "land": land}
    there = told | {"dropped_row": dropped_row, "resolution": 90, "first_day": "2020-12-30"}
    if land == "zero":
        np.save(folder / "mask_05.npy", sea_mask([("so", k) for k in range(levels)], 2, COLUMNS))
        there["mask"] = str(folder / "mask_05.npy")
    ds = data.bake("hybridom", path, folder / "s.zarr", **overrides(**there))
    assert ds.thetao.attrs["oceanx_quantity"] == "anomaly"
    (file, mask) = export("hybridom", ds, folder / "back", land_mask="mask_05.npy", partial=True, **told)
    assert file.name == "GLORYS_05_2020.h5"
    assert same_bits(read_hdf5(file, "data"), values)
    np.testing.assert_array_equal(np.load(mask), sea_mask([("so", k) for k in range(levels)], 2, COLUMNS))


def test_from_neuralom_to_hybridom(tmp_path):
    """Channels change places, rows turn over, totals become anomalies."""
    values = stack(neuralom_order(), 2, 3, COLUMNS)
    path = write_hdf5(tmp_path / "x.h5", "fields", values)
    ds = data.bake("neuralom", path, tmp_path / "s.zarr", **overrides(resolution=90, first_day="2020-02-29"))
    ice = {n: xr.zeros_like(ds.zos).assign_attrs(units=u) for n, u in
           (("siconc", "1"), ("sithick", "m"), ("usi", "m s-1"), ("vsi", "m s-1"))}  # fmt: skip
    ds = ds.assign(ice)
    with pytest.raises(InputError, match="zos, thetao, so: HybridOM files hold the anomaly, and the Dataset the other"):
        export("hybridom", ds, tmp_path / "x", partial=True)
    days = xr.DataArray(np.arange(1.0, 367), dims="dayofyear", coords={"dayofyear": np.arange(1, 367)})
    season = (xr.ones_like(ds[["so", "thetao", "zos"]].isel(time=0, drop=True)) * days).astype("f4")
    (file,) = export("hybridom", ds, tmp_path / "back", partial=True, climatology=season)
    back = read_hdf5(file, "data")
    turned = values[:, :, ::-1]
    np.testing.assert_array_equal(back[:, :23], turned[:, 23:46])
    np.testing.assert_array_equal(back[:, 97:], turned[:, 93:96])
    day = np.array([60, 61], "f4")[:, None, None]  # 29 February and 1 March
    np.testing.assert_array_equal(back[:, 47], turned[:, 69] - day)
    np.testing.assert_array_equal(back[:, 92], turned[:, 22] - day)
    np.testing.assert_array_equal(back[:, 46], turned[:, 92] - day)


def test_scaled_forcing_comes_back_within_the_rounding(tmp_path):
    """The number 1 ulp of the physical value stands for is the most that can be lost."""
    names = ["str", "ssr", "sshf", "slhf", "tauuo", "tauvo", "evs", "mtpr"]
    limits = dict(zip(names, [(-250, 120), (0, 390), (-700, 300), (-1200, 200), (-4, 5), (-4, 4), (-1e-4, 5e-4),
                              (0, 0.01)], strict=True))  # fmt: skip
    values = np.random.default_rng(2).random((365, 8, 2, COLUMNS), dtype="f4")
    path = write_hdf5(tmp_path / "WenHai_forcing_05_2020.h5", "data", values)
    there = {"content": "wenhai", "scaling": limits, "absent_day": "12-31"}
    ds = data.bake("hybridom", path, tmp_path / "s.zarr", **overrides(resolution=90, **there))
    (file,) = export("hybridom", ds, tmp_path / "back", **there)
    assert file.name == "WenHai_forcing_05_2020.h5"
    back = read_hdf5(file, "data")
    for channel, (low, high) in enumerate(limits.values()):
        most = 2.0**-24 * max(abs(low), abs(high)) / (high - low) + 2.0**-24
        assert np.abs(back[:, channel].astype("f8") - values[:, channel]).max() <= most
    with pytest.raises(InputError, match="WenHai forcing files hold scaled numbers: give scaling"):
        export("hybridom", ds, tmp_path / "x", content="wenhai", absent_day="12-31")


def test_options(tmp_path):
    with pytest.raises(InputError, match="unknown content 'wenhay'; did you mean 'wenhai'"):
        export("hybridom", xr.Dataset(), tmp_path, content="wenhay")
    with pytest.raises(InputError, match="levels: 7; expected 23 or 12"):
        export("hybridom", xr.Dataset(), tmp_path, levels=7)
    with pytest.raises(InputError, match=r"expected a name with \{year\} in it"):
        export("hybridom", xr.Dataset(), tmp_path, file="../{year}.h5")
