"""Nesting: a coarse parent laid on a finer ocean's grid, as variables `<name>_parent` beside its own.

A Task names them among its forcing, and a regional model (`oceanx.models.hybridom_regional`) reads them from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from oceanx import seam
from oceanx.ocean import grid
from oceanx.vocabulary.channels import PARENT
from oceanx.vocabulary.errors import InputError

NESTED = ("thetao", "so", "uo", "vo", "zos")


def nested(ds: xr.Dataset, parent: xr.Dataset, names: Iterable[str] = NESTED) -> xr.Dataset:
    """The Dataset with the parent's fields on its grid, levels and days beside its own, as `<name>_parent`; lazily.

    The attribute `oceanx_parent` says whether the parent is an analysis or a forecast, and whose; forecasts keep it.

    Parameters
    ----------
    ds
        The fine ocean: analyses along `time`.
    parent
        A coarser ocean around it: analyses, or one forecast (`init_time` and `lead_time`, one start date).
    names
        Which variables.

    Raises
    ------
    InputError
        If the parent lacks a variable, a level or a day, or does not reach as far as the fine grid.

    Examples
    --------
    >>> ds = nested(fine, coarse)                                                            # doctest: +SKIP
    >>> task = Task(prognostic=ocean, forcing=Channels(volume=("thetao_parent", …), surface=("u10", "zos_parent"), …))
    """
    laid = laid_on(_by_time(parent), ds, names)
    lacking = ~np.isin(ds.time.values, laid.time.values)
    if lacking.any():
        raise InputError(
            f"parent: lacks {np.datetime_as_string(ds.time.values[lacking][0], unit='h')} and "
            f"{int(lacking.sum()) - 1} more times of the fine ocean; "
            "cut it to the parent's times, or give both the same stamps"
        )
    return ds.assign(laid.sel(time=ds.time).data_vars).assign_attrs(oceanx_parent=_what(parent))


def laid_on(parent: xr.Dataset, ds: xr.Dataset, names: Iterable[str] = NESTED) -> xr.Dataset:
    """The parent's fields as `<name>_parent` on the grid and levels of `ds`, along their own times; NaN on its land.

    Bilinear between the parent's cell centres, found by the coordinates of both. Before, the parent's land is given
    the nearest wet value of its level (of the level above, where a whole level is land), so that fine cells near a
    coarse coast have water's values, and none of land's.
    """
    names = tuple(names)
    lacking = [name for name in names if name not in parent or name not in ds]
    if lacking:
        raise InputError(f"parent: {', '.join(lacking)} must stand in both Datasets; say which by `names`")
    volume = any("depth" in ds[name].dims for name in names)
    if volume:
        parent = parent.isel(depth=seam.levels(parent, tuple(float(z) for z in np.atleast_1d(ds.depth.values))))
    wet, fine = (grid.complete(side).mask for side in (parent, ds))
    across = Between.of(parent.latitude.values, ds.latitude.values, "latitude")
    along = Between.of(parent.longitude.values, ds.longitude.values, "longitude", grid.is_periodic(parent.longitude))
    fields = {}
    for name in names:
        deep = "depth" in parent[name].dims
        mask, top = (m if deep or "depth" not in m.dims else m.isel(depth=0, drop=True) for m in (wet, fine))
        field = _laid(parent[name].reset_coords(drop=True), _shores(mask), across, along)
        field = field.assign_coords(latitude=ds.latitude, longitude=ds.longitude)
        field = field.assign_coords(depth=ds.depth) if deep else field
        top = top.reset_coords(drop=True).assign_coords({axis: field[axis] for axis in top.dims})
        fields[name + PARENT] = field.where(top != 0).assign_attrs(_said(ds[name].attrs))
    return xr.Dataset(fields)


class Between(NamedTuple):
    """Along one axis, the parent's two cells that each fine cell lies between, and how near it is to the second."""

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, coarse: np.ndarray, fine: np.ndarray, axis: str, periodic: bool = False) -> Between:
        """By coordinates, both ascending; up to half a cell beyond the parent's last centre its value holds."""
        coarse, fine = np.asarray(coarse, float), np.asarray(fine, float)
        size = len(coarse)
        reach = np.diff(coarse)[[0, -1]] / 2
        if axis == "longitude":
            fine = (fine - (coarse[0] - reach[0])) % 360 + (coarse[0] - reach[0])
        if periodic:
            at = np.append(coarse, coarse[0] + 360)
            at, back = np.insert(at, 0, coarse[-1] - 360), -1
        else:
            at, back = coarse, 0
            beyond = (fine < coarse[0] - reach[0] - 1e-4) | (fine > coarse[-1] + reach[1] + 1e-4)
            if beyond.any():
                raise InputError(
                    f"parent: its {axis} ends at {coarse[0] - reach[0]:g} and {coarse[-1] + reach[1]:g}, but the fine "
                    f"grid has {fine[beyond][0]:g}; nest it in a parent that surrounds it"
                )
        first = np.clip(np.searchsorted(at, fine, side="right") - 1, 0, len(at) - 2)
        share = np.clip((fine - at[first]) / (at[first + 1] - at[first]), 0, 1)
        return cls((first + back) % size, (first + 1 + back) % size, share)


def _shores(mask: xr.DataArray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """For each level, which level, rows and columns hold the nearest wet value of each cell."""
    levels = mask.transpose(..., *grid.HORIZONTAL).values.reshape(-1, *(mask.sizes[axis] for axis in grid.HORIZONTAL))
    found: list[tuple[int, np.ndarray, np.ndarray]] = []
    for number, wet in enumerate(levels != 0):
        if wet.any():
            rows, columns = distance_transform_edt(~wet, return_distances=False, return_indices=True)
            found.append((number, rows, columns))
        elif found:
            found.append(found[-1])
        else:
            raise InputError("parent: it has no wet cell at its uppermost level")
    return found


def _laid(
    field: xr.DataArray, shores: list[tuple[int, np.ndarray, np.ndarray]], y: Between, x: Between
) -> xr.DataArray:
    core = [axis for axis in ("depth", *grid.HORIZONTAL) if axis in field.dims]

    def finer(values: np.ndarray) -> np.ndarray:
        levels = values if len(core) == 3 else values[..., None, :, :]
        filled = np.stack([levels[..., k, rows, columns] for k, rows, columns in shores], axis=-3)
        share = y.share[:, None].astype(values.dtype)
        rows = filled[..., y.first, :] * (1 - share) + filled[..., y.second, :] * share
        share = x.share.astype(values.dtype)
        cells = rows[..., x.first] * (1 - share) + rows[..., x.second] * share
        return cells if len(core) == 3 else cells[..., 0, :, :]

    sizes = {"latitude": len(y.share), "longitude": len(x.share)}
    laid = xr.apply_ufunc(
        finer,
        field.chunk(dict.fromkeys(core, -1)) if field.chunks else field,
        input_core_dims=[core],
        output_core_dims=[core],
        exclude_dims=set(grid.HORIZONTAL),
        dask="parallelized",
        output_dtypes=[field.dtype],
        dask_gufunc_kwargs={"output_sizes": sizes},
    )
    return laid.transpose(*field.dims)


def _by_time(parent: xr.Dataset) -> xr.Dataset:
    """A forecast along the times that it is valid for; analyses as they are."""
    if "lead_time" not in parent.dims:
        return parent
    if parent.sizes.get("init_time", 1) != 1:
        raise InputError(
            f"parent: {parent.sizes['init_time']} forecasts; choose one, such as parent.isel(init_time=[0])"
        )
    parent = parent.squeeze("init_time") if "init_time" in parent.dims else parent
    valid = parent.init_time.values + parent.lead_time.values
    return (
        parent.drop_vars(["valid_time", "init_time"], errors="ignore")
        .assign_coords(lead_time=valid)
        .rename(lead_time="time")
    )


def _what(parent: xr.Dataset) -> str:
    """In words, what a parent is."""
    if "lead_time" not in parent.dims:
        return f"analysis: {parent.attrs.get('title', 'untitled')}"
    begun = np.datetime_as_string(np.ravel(parent.init_time.values)[0], unit="h")
    told = f", itself told: {parent.attrs['oceanx_forcing']}" if "oceanx_forcing" in parent.attrs else ""
    return f"forecast by {parent.attrs.get('oceanx_model', 'an unnamed model')}, begun {begun}{told}"


def _said(attrs: dict[str, object]) -> dict[str, object]:
    """The attributes of a variable, its name telling that it is the parent's."""
    return attrs | {"long_name": f"{attrs.get('long_name', 'Field')} of the parent", "cell_methods": "area: point"}
