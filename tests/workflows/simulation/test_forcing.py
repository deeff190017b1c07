"""Forcing: between its dates, without any, and what it lacks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_channel import channel, sunshine
from toy_core import CAPACITY, run

from oceanx.vocabulary.errors import InputError


@settings(max_examples=10, deadline=None)
@given(
    values=st.lists(st.floats(0, 1000), min_size=4, max_size=4),
    between=st.sampled_from(["held", "linear"]),
    every=st.sampled_from(["1D", "12h", "36h"]),
)
def test_forcing_between_its_dates(values: list[float], between: str, every: str) -> None:
    """What warms a sea at rest is the integral of the forcing: a staircase, or straight lines."""
    ds = channel(speed=0.0)
    made = run(ds, sunshine(ds, values), between=between, every=every)
    days = (made.time.values - made.time.values[0]) / np.timedelta64(1, "D")
    fine = np.linspace(0, 3, 3 * 240 + 1)
    rate = np.array(values)[fine.astype(int).clip(max=3)] if between == "held" else np.interp(fine, range(4), values)
    middle = rate[:-1] if between == "held" else (rate[:-1] + rate[1:]) / 2
    heat = np.interp(days, fine, np.concatenate([[0.0], np.cumsum(middle) * 86400 / 240]))
    rise = (made.thetao - made.thetao[0]).isel(depth=0, latitude=2, longitude=5)
    np.testing.assert_allclose(rise, heat / (CAPACITY * 25.0), atol=1e-12)
    assert (
        (made.thetao.isel(depth=1) == made.thetao.isel(depth=1, time=0)).where(made.mask.isel(depth=1) == 1, True).all()
    )


def test_forcing_without_dates_does_not_change() -> None:
    constant = sunshine(channel(), [80.0]).isel(time=0, drop=True)
    dated = run(forcing=sunshine(channel(), [80.0] * 3))
    xr.testing.assert_equal(run(forcing=constant), dated)


def test_forcing_that_is_missing_is_named() -> None:
    ds = channel()
    weather = sunshine(ds, [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="forcing lacks ssr"):
        run(forcing=weather.rename(ssr="str"))
    with pytest.raises(InputError, match="ssr lacking on 2000-01-04"):
        run(forcing=weather, days=4)
    with pytest.raises(InputError, match="ssr lacking on 2000-01-03"):
        run(forcing=weather.isel(time=[0, 1]))
    with pytest.raises(InputError, match=r"ssr lacking on 2000-01-03 .* or simulate fewer days"):
        run(forcing=sunshine(ds, [1.0] * 6).isel(time=[0, 1, 4, 5]), days=5)
    with pytest.raises(InputError, match="ssr lacking on 1999-12-31"):
        run(forcing=weather, init_time="1999-12-31")
    with pytest.raises(InputError, match="ssr lacking on 2000-01-03"):
        run(forcing=weather.assign_attrs(missing_times=["2000-01-03"]))
    with pytest.raises(InputError, match="ssr lacking on 2000-01-03"):
        run(forcing=weather, between="linear")
    holed = weather.copy(deep=True)
    holed.ssr[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="forcing, 2000-01-02 00:00:00: ssr: 1 wet cell not finite"):
        run(forcing=holed)
    with pytest.raises(InputError, match="latitude: grids differ"):
        run(forcing=weather.assign_coords(latitude=weather.latitude + 1))
    with pytest.raises(InputError, match="ascending dates"):
        run(forcing=weather.isel(time=[1, 0, 2]))
    with pytest.raises(InputError, match="held"):
        run(forcing=weather, between="cubic")


def test_a_core_takes_the_most_that_the_forcing_holds() -> None:
    ds = channel(speed=0.0).assign(so=(channel().thetao * 0 + 35).assign_attrs(units="1e-3"))
    ds["thetao"] = ds.thetao * 0 + xr.DataArray([15.0, 12.0], dims="depth")
    ds["thetao"].attrs["units"] = "degrees_C"
    wind = sunshine(ds, [0.1, 0.1]).ssr
    forcing = xr.Dataset({"tauuo": wind.assign_attrs(units="Pa"), "tauvo": (0 * wind).assign_attrs(units="Pa")})
    given = {"days": 1, "core": "primitive_equations", "at_rest": True, "precision": "float64"}
    made = run(ds, forcing, **given)
    assert json.loads(made.attrs["oceanx_core"])["forced_by"] == "wind"
    assert float(made.uo.isel(time=1, depth=0).mean()) > 0.001
    assert abs(made.residual_volume[-1] / made.total_volume[0]) < 1e-14
    assert abs(made.residual_heat[-1] / made.total_heat[0]) < 1e-13
    assert abs(made.residual_salt[-1] / made.total_salt[0]) < 1e-13
    with pytest.raises(InputError, match="wind lacks tauvo"):
        run(ds, forcing[["tauuo"]], **given)
    with pytest.raises(InputError, match="nothing drives this core"):
        run(ds, forcing, **(given | {"core": {"kind": "primitive_equations", "forced_by": "nothing"}}))
