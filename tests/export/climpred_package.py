"""What climpred makes of an export, in an interpreter that has the package; printed as JSON.

`python climpred_package.py forecast.zarr truth.nc names.xml`. climpred fetches CF's table of standard names from the
network; `names.xml` is a copy of it.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

import cf_xarray.accessor  # noqa: E402
import cf_xarray.utils  # noqa: E402
import xarray as xr  # noqa: E402


def main(store: str, truth: str, names: str) -> dict[str, Any]:
    """The root mean square error of zos by lead, of all starts and places, and what the leads have become."""
    table = cf_xarray.utils.parse_cf_standard_name_table
    cf_xarray.accessor.parse_cf_standard_name_table = lambda source=None: table(source or names)
    import climpred

    forecast = xr.open_zarr(store, consolidated=True)[["zos"]].load()
    hindcast = climpred.HindcastEnsemble(forecast.drop_vars(["mask", "cell_area"], errors="ignore"))
    hindcast = hindcast.add_observations(xr.open_dataset(truth)[["zos"]].load())
    said = hindcast.verify(
        metric="rmse", comparison="e2o", dim=["init", "latitude", "longitude"], alignment="same_inits", skipna=True
    )
    lead = hindcast.get_initialized()["lead"]
    return {
        "version": climpred.__version__,
        "rmse": said["zos"].values.tolist(),
        "lead": lead.values.tolist(),
        "units": lead.attrs["units"],
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
