"""`.oceanx` on every Dataset and DataArray: views of forecasts and analyses, and what can be told from them.

Nothing is computed before it is asked for, and nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import xarray as xr

from .data.units import conversion
from .ocean import departures, finding, forecasts, places
from .vocabulary.names import VARIABLES

if TYPE_CHECKING:
    from .ocean.derived import Kind, Method

T = TypeVar("T", xr.Dataset, xr.DataArray)


class _Accessor(Generic[T]):
    """Views of a labelled forecast or analysis; each returns a new object and leaves this one as it is.

    Dimensions and variables that bear other names are known by their `standard_name`, through cf_xarray, and come back
    under ours, in our units.
    """

    def __init__(self, obj: T) -> None:
        self._obj: T = obj

    @property
    def _on_our_axes(self) -> T:
        return finding.with_our_axes(self._obj)

    # In time

    def at_valid(self, time: Any) -> T:
        """Every forecast valid at one date, by `init_time`, each with its own `lead_time`; of analyses, that date's.

        Examples
        --------
        >>> forecast.oceanx.at_valid("2020-03-01")    # doctest: +SKIP
        """
        return forecasts.at_valid(self._on_our_axes, time)

    def best_estimate(self, asof: Any = None) -> T:
        """A series over `time`: of overlapping forecasts, at each valid date the one that started last.

        `init_time` and `lead_time` stand beside `time`. With `asof`, forecasts that start after that date are left out.

        Examples
        --------
        >>> forecast.oceanx.best_estimate(asof="2020-03-01")    # doctest: +SKIP
        """
        return forecasts.best_estimate(self._on_our_axes, asof)

    def as_timeseries(self, lead: Any = None) -> T:
        """The forecasts of one lead (`"3D"`), or without it the leads of one forecast, over the date each is valid for.

        `init_time` and `lead_time` stand beside `time`. Inverse: `as_forecast`.
        """
        return forecasts.as_timeseries(self._on_our_axes, lead)

    def as_forecast(self) -> T:
        """The forecast that a series of `as_timeseries` is of; its inverse."""
        return forecasts.as_forecast(self._on_our_axes)

    def anomaly(self, climatology: xr.Dataset) -> T:
        """The departure from a climatology on each valid date, marked as one; inverse: `totals`."""
        return departures.anomaly(self._on_our_axes, climatology)

    def totals(self, climatology: xr.Dataset) -> T:
        """Anomalies with the climatology of each valid date added back; inverse of `anomaly`."""
        return departures.totals(self._on_our_axes, climatology)

    # In space

    def section(
        self,
        *,
        lon: float | None = None,
        lat: float | None = None,
        points: Iterable[tuple[float, float]] | None = None,
        spacing: float | None = None,
    ) -> T:
        """A section: the cells at a longitude or latitude, or values interpolated along great circles between points.

        `points` are (latitude, longitude); the section then has the dimension `distance` (km), a value every `spacing`
        km. See `oceanx.ocean.places.section`.

        Examples
        --------
        >>> forecast.oceanx.section(points=[(38, -74), (32, -64)])    # doctest: +SKIP
        """
        return places.section(self._on_our_axes, lon=lon, lat=lat, points=points, spacing=spacing)

    def profile(self, lat: float, lon: float) -> T:
        """The column of the cell that a place lies in; on land it is refused, naming the nearest wet cell."""
        return places.profile(self._on_our_axes, lat, lon)

    # What can be told from them

    def heat_content(self, upper: float = 0.0, lower: float = 300.0, least: float = 0.0) -> xr.DataArray:
        """Heat content (J m-2) of the sea between two depths (m). See `oceanx.ocean.heat.heat_content`."""
        from .ocean.heat import heat_content

        return heat_content(_ours(self._obj, "thetao"), upper, lower, least)

    def geostrophic(self, equator: float = 5.0) -> xr.Dataset:
        """Currents `ugos`, `vgos` in balance with the slope of the sea surface.

        See `oceanx.ocean.derived.geostrophic_velocity`.
        """
        from .ocean.derived import geostrophic_velocity

        return geostrophic_velocity(_ours(self._obj, "zos"), equator)

    @property
    def plot(self) -> Plot:
        """Pictures of this object: `ds.thetao.oceanx.plot.map()` is `oceanx.plot.map(ds.thetao)`."""
        return Plot(self._obj)


class Plot:
    """The kinds of `oceanx.plot`, drawn of one object."""

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        from . import plot

        if kind not in plot.KINDS:
            raise AttributeError(f"no kind of plot {kind!r}; choose from: {', '.join(sorted(plot.KINDS))}")
        return partial(plot.KINDS[kind], self._obj)

    def __dir__(self) -> Sequence[str]:
        from . import plot

        return sorted(plot.KINDS)


def _ours(obj: xr.Dataset | xr.DataArray, *names: str) -> xr.Dataset:
    """The variables meant by our words, under these and in our units."""
    ds = finding.with_our_names(obj, *names)
    for name in names:
        found, wanted = str(ds[name].attrs.get("units", VARIABLES[name].units)), VARIABLES[name].units
        if found != wanted:
            in_ours = xr.apply_ufunc(conversion(found, wanted, name), ds[name], dask="allowed")
            ds[name] = in_ours.assign_attrs({**ds[name].attrs, "units": wanted})
    return ds


@xr.register_dataset_accessor("oceanx")
class DatasetAccessor(_Accessor[xr.Dataset]):
    """`Dataset.oceanx`."""

    def density(self, kind: Kind = "sigma0") -> xr.DataArray:
        """Potential density anomaly `sigma0` or density in situ `rho`. See `oceanx.ocean.derived.density`."""
        from .ocean.derived import density

        return density(_ours(self._obj, "thetao", "so"), kind)

    def mixed_layer_depth(
        self, threshold: float = 0.03, reference_depth: float = 10.0, method: Method = "teos10"
    ) -> xr.DataArray:
        """Depth of the mixed layer, m. See `oceanx.ocean.derived.mixed_layer_depth`."""
        from .ocean.derived import mixed_layer_depth

        return mixed_layer_depth(_ours(self._obj, "thetao", "so"), threshold, reference_depth, method)


@xr.register_dataarray_accessor("oceanx")
class DataArrayAccessor(_Accessor[xr.DataArray]):
    """`DataArray.oceanx`."""
