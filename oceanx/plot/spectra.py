"""Spectra of forecasts beside the truth's: what is left of each scale, and what was added."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from ..vocabulary.errors import InputError
from . import style, words
from .curves import MOST_PANELS, at_lead, chosen_models, chosen_variables, curve, legend_of, panels_of, variable_text

WAVELENGTHS = (20000, 10000, 5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)  # km, the ticks
DECADES = 6  # below the largest density, nothing is drawn


@style.look()
def spectrum(
    spectra: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    lead: str | None = None,
    models: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A figure of variance against wavelength at one lead: a panel for each variable and depth, a curve for each model.

    The truth, of the same days, is dashed black. Both axes are logarithmic, the longest waves on the left. A curve
    below the truth has lost what is as small (blurred), one above it has gained it (noise).

    Parameters
    ----------
    spectra
        Of `oceanx.scores.spectrum`: `<variable>_spectrum` and `<variable>_truth_spectrum`, by lead and wavenumber.
    variable
        One or more to draw; all without.
    lead
        Which lead, "30D" say; the last without.
    models
        Which to draw, in this order; all without.

    Raises
    ------
    InputError
        For a variable, lead or model that the spectra lack, and for more than 24 panels.
    """
    pairs = spectra.drop_vars([n for n in map(str, spectra.data_vars) if n.endswith("_truth_spectrum")])
    names = chosen_variables(pairs, variable, "spectrum")
    at = at_lead(spectra, lead)
    panels = [
        (panel, true, name)
        for name in names
        for (panel, _), (true, _) in zip(
            panels_of(at[f"{name}_spectrum"], name, along="wavenumber"),
            panels_of(at[f"{name}_truth_spectrum"], name, along="wavenumber"),
            strict=True,
        )
    ]
    if len(panels) > MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are too many to read (at most {MOST_PANELS}); choose variables or depths"
        )
    shown = chosen_models(spectra, models)
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    figure = style.sheet(max(4.1 * columns + 0.4, 6.4), 3.4 * rows + 1.1)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in list(grid.flat)[len(panels) :]:
        ax.remove()
    for ax, panel in zip(grid.flat, panels, strict=False):
        _panel(ax, *panel, models=shown)
    legend_of(figure, grid.flat[0])
    said = f"After {words.lead_text(at['lead_time'].values)}"
    figure.suptitle(said if title is None else f"{title}, {said[0].lower()}{said[1:]}", x=0.01, ha="left")
    return figure


def _panel(ax: Axes, panel: xr.DataArray, true: xr.DataArray, name: str, *, models: list[str]) -> None:
    length = 1 / panel["wavenumber"].values
    looks = style.lines_of([*models, "oracle"])
    truth = (true.isel(model=0) if "model" in true.dims else true).values.astype(float)
    curves = {model: curve(panel, model) for model in models}
    for model, values in curves.items():
        ax.plot(length, _positive(values), label=words.model_text(model), **looks[model] | {"markersize": 3.5})
    ax.plot(length, _positive(truth), label="truth", **looks["oracle"] | {"zorder": 3.5})
    ax.set(xscale="log", yscale="log", xlim=(length.max(), length.min()))
    top = max(np.nanmax(values) for values in (truth, *curves.values()))
    low = min(np.nanmin(_positive(values)) for values in (truth, *curves.values()))
    ax.set_ylim(max(low / 2, top * 10.0**-DECADES), top * 2)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in WAVELENGTHS if length.min() <= tick <= length.max()]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.set_xlabel("Wavelength (km)")
    ax.set_ylabel(words.with_units("Variance density", words.units_of(panel.rename("density"))))
    ax.set_title(variable_text(panel, name), loc="left")
    style.tidy(ax, grid=True, frame=False)


def _positive(values: np.ndarray) -> np.ndarray:
    """What a logarithmic axis can show."""
    return np.where(values > 0, values, np.nan)
