"""Conservation: known amounts of heat, salt and water are found where they were put in, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label
from oceanx.scores import conservation
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

TRUTH = toy_dataset.ocean(12)
TRUTH = TRUTH.assign(so=(TRUTH["thetao"] + 20).assign_attrs(VARIABLES["so"].attrs))
TRUTH = TRUTH[["thetao", "so", "uo", "vo", "zos"]].astype("f8")
STARTS = TRUTH.time.values[[0, 5]]
LEADS = pd.timedelta_range("1D", periods=4)
DAYS = np.arange(1.0, 5.0)


def forecast(change=lambda name, v: v, leads=LEADS, starts=STARTS, ds=TRUTH):
    labels = forecast_labels(starts, leads, ds)
    there = ds.sel(time=labels.valid_time).drop_vars("time")
    return label(
        labels.assign({str(n): change(str(n), v).assign_attrs(VARIABLES[str(n)].attrs) for n, v in there.items()})
    )


def by_lead(values):
    return xr.DataArray(values, dims="lead_time", coords={"lead_time": LEADS})


def test_means_are_those_of_a_plain_sum():
    found = conservation(forecast(), TRUTH)
    area, layers = TRUTH.cell_area.values, TRUTH.thickness.values
    for i, start in enumerate((0, 5)):
        for lead in range(4):
            day = TRUTH.isel(time=start + 1 + lead)
            total, energy, volume = 0.0, 0.0, 0.0
            for k, j, x in np.argwhere(TRUTH.mask.values):
                water = area[j, x] * layers[k]
                volume += water
                total += water * float(day.thetao.values[k, j, x])
                energy += water * 0.5 * (day.uo.values[k, j, x] ** 2 + day.vo.values[k, j, x] ** 2)
            at = {"init_time": i, "lead_time": lead}
            assert float(found.mean_temperature[at]) == pytest.approx(total / volume, rel=1e-12)
            assert float(found.mean_kinetic_energy[at]) == pytest.approx(energy / volume, rel=1e-12)
            wet = TRUTH.mask.values[0] == 1
            level = np.average(day.zos.values[wet], weights=area[wet])
            assert float(found.mean_sea_level[at]) == pytest.approx(level, rel=1e-12)


@given(flux=st.floats(-500, 500), salt=st.floats(-1e-3, 1e-3), rain=st.floats(-1e-7, 1e-7))
@settings(max_examples=8, deadline=None)
def test_a_flux_through_the_surface_is_found(flux, salt, rain):
    """Every column warms by what flows in over its own depth: the residual of the whole is the flux."""
    depth = (TRUTH.mask * TRUTH.thickness).sum("depth")
    seconds = by_lead(DAYS * 86400)

    def change(name, v):
        added = {
            "thetao": flux * seconds / (REFERENCE_DENSITY * HEAT_CAPACITY * depth),
            "so": salt * seconds / (REFERENCE_DENSITY * 1e-3 * depth),
            "zos": rain * seconds,
        }.get(name, 0.0)
        return (v + added).transpose(*v.dims)

    found = conservation(forecast(change), TRUTH)
    np.testing.assert_allclose(found.heat_change_residual, flux, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.salt_change_residual, salt, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found.volume_change_residual, rain, rtol=1e-9, atol=1e-18)
    assert found.heat_change.attrs["units"] == "W m-2"


def test_the_truth_has_no_residual_and_its_own_change():
    found = conservation(forecast(), TRUTH)
    for name in found.data_vars:
        if str(name).endswith("_residual"):
            np.testing.assert_array_equal(found[name], 0.0)
    mean = found.mean_sea_level_truth
    start = TRUTH.zos.sel(time=STARTS).weighted(TRUTH.cell_area).mean(("latitude", "longitude"))
    expected = (mean - start.values[:, None]) / (DAYS * 86400)
    np.testing.assert_allclose(found.volume_change_truth, expected, rtol=1e-9)


def test_without_the_analysis_change_counts_from_the_first_lead():
    later = TRUTH.isel(time=slice(1, None))  # lacks the first start's analysis
    found, alone = conservation(forecast(), later), conservation(forecast())
    for table, end in ((found, "_truth"), (found, ""), (alone, "")):
        mean, change = table[f"mean_sea_level{end}"], table[f"volume_change{end}"]
        assert np.isnan(change[0, 0])
        expected = (mean[0, 1:] - mean[0, 0]) / ((DAYS[1:] - 1) * 86400)
        np.testing.assert_allclose(change[0, 1:], expected, rtol=1e-9)
    assert np.isfinite(found.volume_change[1]).all()
    assert "mean_sea_level_residual" not in alone


def test_cells_that_one_side_lacks_count_in_neither():
    """The forecast misses the southern half, which in the truth is far warmer."""
    warm = TRUTH.assign(
        thetao=TRUTH.thetao.where(TRUTH.latitude > 32, TRUTH.thetao + 50).assign_attrs(TRUTH.thetao.attrs)
    )
    fc = forecast(lambda name, v: v.where(v.latitude > 32))
    found = conservation(fc, warm)
    np.testing.assert_allclose(found.mean_temperature_truth, found.mean_temperature, rtol=1e-12)
    lost = forecast(lambda name, v: v.where((v.latitude != 33) | (v.lead_time < LEADS[2])))
    found = conservation(lost, TRUTH)
    assert np.isfinite(found.mean_temperature[:, :2]).all()
    assert np.isnan(found.mean_temperature[:, 2:]).all()  # told, not passed over


def test_models_beside_each_other_and_members():
    fc = forecast()
    colder = forecast(lambda name, v: v - 1 if name == "thetao" else v).drop_vars("so")
    both = conservation({"same": fc, "colder": colder}, TRUTH)
    np.testing.assert_allclose(both.mean_temperature_residual.sel(model="colder"), -1.0, rtol=1e-9)
    assert np.isnan(both.mean_salinity.sel(model="colder")).all()
    pair = xr.concat([fc, forecast(lambda name, v: v * 3)], pd.Index([0, 1], name="member"))
    pair = label(xr.Dataset({n: v.assign_attrs(fc[n].attrs) for n, v in pair.items()}, fc.coords | {"member": [0, 1]}))
    ensemble, one = conservation(pair, TRUTH), conservation(fc, TRUTH)
    np.testing.assert_allclose(ensemble.mean_temperature, 2 * one.mean_temperature, rtol=1e-12)
    np.testing.assert_allclose(ensemble.mean_kinetic_energy, 5 * one.mean_kinetic_energy, rtol=1e-12)


@pytest.mark.parametrize(
    ("made", "said"),
    [(lambda: (forecast().drop_vars(["thetao", "so", "zos", "uo"]), TRUTH), "has none of thetao, so, zos"),
     (lambda: (forecast(), TRUTH.isel(time=slice(0, 5))), "truth: no 2001-12-07"),
     (lambda: (forecast().drop_vars("valid_time"), None), "no coordinate 'valid_time'"),
     (lambda: (forecast(), complete(TRUTH.assign_coords(latitude=TRUTH.latitude + 1))), "latitude: grids differ")],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(made, said):
    with pytest.raises(InputError, match=said):
        conservation(*made())
