"""The demo's report: maps of truth, forecast and error, skill against lead time, heatwaves, and a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from oceanx import plot
from oceanx.heatwaves import exceedance
from oceanx.ocean.climatology import day_of_year
from oceanx.vocabulary import files

from .runs import Run

SHOWN_LEAD = np.timedelta64(5, "D")


def write_report(
    to: Path,
    ds: xr.Dataset,
    fcs: Mapping[str, xr.Dataset],
    scores: xr.Dataset,
    exceeded: xr.Dataset,
    run: Run,
) -> Path:
    """One self-contained HTML page about a demo."""
    limits = exceeded[["climatology", "threshold"]]
    place = _hottest(ds, fcs["hybrid"], limits)
    sections: list[plot.Heading | plot.Text | plot.Picture | plot.Table | plot.Code] = [
        plot.Heading("How good are the forecasts?"),
        plot.Text(_headline(scores)),
        plot.Picture(
            _kept(
                plot.skill(scores.isel(depth=0), variable=["thetao", "zos", "uo"], title="Error against lead time"),
                to.with_name("skill.png"),
            ),
            "Root-mean-square error at the surface over 12 start dates of the withheld year. The oracle is the ocean's "
            "own generator, continued from the true state: no forecast can do better.",
            "Curves of error against lead time for the hybrid, the references and the oracle",
        ),
        plot.Table(
            plot.table(scores.isel(depth=0), variable=["thetao", "zos", "uo"]),
            caption="Root-mean-square error by lead. The room taken is (persistence − model) / (persistence − oracle); "
            "untrained is the hybrid's physics alone.",
        ),
        plot.Heading("One forecast"),
        *_maps(ds, fcs["hybrid"], to.with_name("forecast.png")),
        plot.Heading("Below the surface"),
        plot.Table(
            plot.table(scores.sel(depth=[92.3, 222.5], method="nearest"), variable="thetao"), caption="As above."
        ),
        plot.Heading("Marine heatwaves"),
        plot.Text(_heat(exceeded)),
        *_heatwaves(ds, fcs["hybrid"], limits, place),
        plot.Heading("How it was made"),
        plot.Text(
            "The ocean is simulated, and exists nowhere: eddies in thermal wind balance, Rossby waves, a mixed layer "
            "under travelling weather. Its raw files have the layout of GLORYS12 and ERA5, and went through the same "
            f"verbs as real ones. The model is a {run.config.model.kind}: tracer transport by the currents, closed by "
            f"a U-Net, trained for {run.about['iteration']} iterations ({run.about['seconds']:.0f} s). It was told the "
            "weather of the forecast days, as the oracle with true weather was: this is a simulation, which shows the "
            "skill of the ocean model alone. The oracle with unknown weather shows what the weather is worth."
        ),
        plot.Code(
            "import oceanx as ox\n"
            f'fc = ox.open("{to.parent / "forecasts" / "hybrid.zarr"}")\n'
            'ox.plot.map(fc.thetao.sel(init_time="2004-03-08", lead_time="5D").isel(depth=0), mask=fc.mask)'
        ),
    ]
    lead = "Three years of a simulated ocean to learn from, a fourth to be judged by."
    return plot.report(to, title="oceanx demo", lead=lead, sections=sections, overwrite=True)


def _headline(scores: xr.Dataset) -> str:
    at = scores.isel(depth=0).sel(lead_time=SHOWN_LEAD)
    lines = []
    for name, what, unit, factor in (
        ("thetao", "sea surface temperature", "°C", 1),
        ("zos", "sea surface height", "cm", 100),
    ):
        error = {str(m): float(at[f"{name}_rmse"].sel(model=m)) for m in scores.model.values}
        room = (error["persistence"] - error["hybrid"]) / (error["persistence"] - error["oracle"])
        lines.append(
            f"At 5 days the error of {what} is {factor * error['hybrid']:.2f} {unit}, against "
            f"{factor * error['persistence']:.2f} for persistence, {factor * error['damped_persistence']:.2f} for "
            f"damped persistence and {factor * error['oracle']:.2f} for the oracle: {room:.0%} of the room there is."
        )
    return " ".join(lines)


def _kept(figure: Figure, to: Path) -> Figure:
    """The figure, saved beside the report too."""
    with files.replacing(to, overwrite=True) as path:
        figure.savefig(path, format="png", dpi=120)
    return figure


def _maps(ds: xr.Dataset, fc: xr.Dataset, to: Path) -> list[plot.Picture]:
    start = fc.init_time.values[len(fc.init_time) // 2]
    one = fc.sel(init_time=start, lead_time=SHOWN_LEAD)
    pictures = []
    for name, what in (
        ("thetao", "Sea surface temperature"),
        ("zos", "Sea surface height"),
        ("uo", "Eastward current"),
    ):
        forecast, truth = one[name], ds[name].sel(time=start + SHOWN_LEAD)
        if "depth" in forecast.dims:
            forecast, truth = forecast.isel(depth=0), truth.isel(depth=0)
        mask = fc.mask.isel(depth=0)
        drawn = plot.triptych(truth.load(), forecast.load(), mask=mask)
        pictures.append(
            plot.Picture(
                _kept(drawn, to) if name == "thetao" else drawn,
                f"{what}: truth, forecast five days ahead, and its error.",
                f"Three maps of {what.lower()}",
            )
        )
    return pictures


def _hottest(ds: xr.Dataset, fc: xr.Dataset, limits: xr.Dataset) -> tuple[np.datetime64, dict[str, float]]:
    """The start date whose five-day truth has most area above the threshold, and the cell furthest above it."""
    sst = ds.thetao.isel(depth=0, drop=True).sel(time=fc.init_time.values + SHOWN_LEAD).load()
    share = exceedance(sst, limits).weighted(ds.cell_area).mean(("latitude", "longitude"))
    most = int(share.argmax("time"))
    day = sst.isel(time=most)
    excess = day - limits.threshold.sel(dayofyear=int(day_of_year(day.time)))
    where = excess.fillna(-99.0).argmax(("latitude", "longitude"))
    return fc.init_time.values[most], {str(dim): float(day[dim][int(at)]) for dim, at in where.items()}


def _heat(exceeded: xr.Dataset) -> str:
    at = exceeded.sel(lead_time=SHOWN_LEAD)
    hybrid, persisted = at.sel(model="hybrid"), at.sel(model="persistence")
    return (
        "A day counts as hot where the surface is warmer than the 90th percentile of its time of year in the three "
        f"training years. On the forecast days that holds for {float(hybrid.base_rate):.0%} of the area. Five days "
        f"ahead the hybrid finds {float(hybrid.hit_rate):.0%} of it, {float(hybrid.false_alarm_ratio):.0%} of its "
        f"alarms are false, and its critical success index is {float(hybrid.csi):.2f}; persistence reaches "
        f"{float(persisted.csi):.2f}."
    )


def _heatwaves(
    ds: xr.Dataset, fc: xr.Dataset, limits: xr.Dataset, place: tuple[np.datetime64, dict[str, float]]
) -> list[plot.Picture]:
    start, point = place
    one = fc.thetao.sel(init_time=start, lead_time=SHOWN_LEAD).isel(depth=0)
    truth = ds.thetao.isel(depth=0).sel(time=start + SHOWN_LEAD).load()
    hits = plot.exceedance(
        exceedance(one.load(), limits).rename("forecast"),
        exceedance(truth, limits).rename("truth"),
        mask=fc.mask.isel(depth=0),
        title="Above the threshold, five days ahead",
    )
    year = slice("2004-01-01", "2004-12-31")
    series = ds.thetao.isel(depth=0).sel(time=year).sel(point, method="nearest").load()
    days = xr.DataArray(day_of_year(series.time), dims="time", coords={"time": series.time})
    at = limits.sel(point, method="nearest").sel(dayofyear=days).drop_vars("dayofyear")
    panel = plot.heatwave(
        series,
        at.climatology,
        at.threshold,
        forecasts={"hybrid": fc.thetao.isel(depth=0).sel(point, method="nearest").sel(init_time=start).load()},
    )
    return [
        plot.Picture(hits, "Hits, misses and false alarms on the start date with most heat.", "Map of hits and misses"),
        plot.Picture(
            panel,
            "The withheld year at the hottest point of that map, with the forecast that starts five days before.",
            "Temperature series with climatology and threshold",
        ),
    ]
