"""Five years of a 1.5° global ocean from rest: the run, its budgets and its picture for `primitive_equations.md`.

    python docs/physics/global_ocean.py RUN.zarr [--floor etopo.nc] [--years 5]

The sea starts at rest with the built-in climatology and meets one year of the built-in weather again and again, heat
and water following its own temperature by bulk formulae. The coasts are those of a sea-floor file, any NetCDF of
height above sea level on latitude and longitude, such as ETOPO or SRTM15+; without one, the built-in continents.
An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from math import ceil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr
from scipy import ndimage

import oceanx as ox
from oceanx.ocean import grid, regrid
from oceanx.ocean.synthetic import Ocean, static, weather
from oceanx.physics.surface_exchange import exchange
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

LEVELS = (15.0, 40.0, 62.0, 105.0, 170.0, 275.0, 440.0, 700.0, 1110.0, 1735.0, 2610.0, 3760.0)  # m
EDGE = 72.0  # degrees: land beyond; narrow cells over the steep rim of the Arctic would ask for steps of 1.4 h
CORE = {
    "kind": "primitive_equations",
    "forced_by": "weather",
    "density": "simplified",
    "viscosity": 1e5,  # m2 s-1: a western boundary layer of (ν/β)^⅓ = 170 km, a cell
    "diffusivity": 1e3,
    "vertical_viscosity": 1e-2,  # winds of daily means stir too little by themselves
    "turn": 3.1,
}
IMAGES = Path(__file__).parents[1] / "images"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("store", type=Path)
    parse.add_argument("--floor", type=Path, help="NetCDF of height above sea level (m)")
    parse.add_argument("--years", type=float, default=5.0)
    parse.add_argument("--precision", default="float64")
    parse.add_argument("--draw", action="store_true", help="only draw the picture of a run that is there")
    given = parse.parse_args()
    if not given.draw:
        sea = start(floor(given.floor))
        air = year_of_weather(sea)
        every = 30 if given.years > 0.5 else 1
        days = every * ceil(365.25 * given.years / every)
        began = time.perf_counter()
        ox.physics.simulate(
            sea,
            repeated(air, days),
            days=days,
            core=CORE,
            every=f"{every}D",
            init_time="2000-01-01",
            at_rest=True,
            precision=given.precision,
            to=given.store,
            resume=True,
            progress=lambda what, done, total: print(
                f"{what} {done}/{total}, {(time.perf_counter() - began) / 60:.1f} min", flush=True
            ),
        )
    draw(xr.open_zarr(given.store, consolidated=False))


def floor(file: Path | None) -> xr.DataArray:
    """Depth of the sea floor (m) at 1.5°, NaN on land: whole cells that are mostly sea, and of one sea."""
    if file is None:
        depth = static(Ocean.globe(depth=(0.494025,))).deptho.fillna(0.0)
    else:
        raw = xr.open_dataset(file)
        names = {
            str(raw[name].dims[axis]): word
            for name in raw.data_vars
            for axis, word in ((0, "latitude"), (1, "longitude"))
        }
        height = raw.rename(names)[next(iter(raw.data_vars))].astype("float64")
        height = height.assign_coords(longitude=(height.longitude + 180) % 360 - 180).sortby("longitude")
        height = height.transpose("latitude", "longitude")
        sea = xr.Dataset({"depth": -height.where(height < 0)})
        depth = regrid.conservative(sea, {"resolution": 1.5}).depth.fillna(0.0)
    depth = depth.where(abs(depth.latitude) < EDGE, 0.0)
    # Lakes and cells that touch the sea by a corner alone are land.
    wide = np.concatenate([depth.values > 0] * 2, axis=1)
    labels, _ = ndimage.label(wide)
    largest = labels == np.bincount(labels[labels > 0]).argmax()
    whole = largest[:, : depth.sizes["longitude"]] | largest[:, depth.sizes["longitude"] :]
    return depth.where(whole)


def start(depth: xr.DataArray) -> xr.Dataset:
    """The sea at rest: warm at the top as the built-in climate is, cold below, fronts where the polar seas begin."""
    faces = grid.depth_interfaces(xr.DataArray(np.array(LEVELS), dims="depth"))
    least = faces[3]  # no column is thinner than three layers
    layer = xr.DataArray(faces[1:] - np.diff(faces) / 2, dims="depth", coords={"depth": np.array(LEVELS)})
    mask = (layer < depth.clip(min=least)) & depth.notnull()
    lat, z = depth.latitude, layer
    warm = xr.DataArray(weather.warmth(lat.values), dims="latitude", coords={"latitude": lat})
    # Between the polar fronts, which reach to the floor, lies water that is warmer and fresher than the abyss.
    within = (1 + np.tanh((lat + 58) / 4)) * (1 + np.tanh((64 - lat) / 4)) / 4
    thermocline = 120 + 500 * np.exp(-(((abs(lat) - 30) / 13) ** 2))
    below = 0.8 + 5.0 * within * np.exp(-z / 1800)
    thetao = below + (warm - below.isel(depth=0)) * np.exp(-z / thermocline)
    below = 34.72 - 0.5 * within * np.exp(-z / 1200)
    top = 34.7 + 1.2 * np.exp(-(((abs(lat) - 25) / 12) ** 2)) - 0.9 * (abs(lat) / 90) ** 2
    so = below + (top - below) * np.exp(-z / 300)
    ds = xr.Dataset({"thetao": thetao.where(mask), "so": (so + 0 * depth).where(mask)})
    ds = ds.transpose("depth", "latitude", "longitude")
    for name in ds.data_vars:
        ds[name].attrs = VARIABLES[str(name)].attrs
    for name in ds.dims:
        ds[name].attrs = DIMENSIONS[str(name)]
    return ds


def year_of_weather(sea: xr.Dataset) -> xr.Dataset:
    """Daily means of a year of the built-in weather, and the humidity, sky and rain that it leaves open."""
    lat, lon = sea.latitude.values, sea.longitude.values
    rng, air = np.random.default_rng(11), weather.Weather.on(lat, lon)
    coefficients, days = air.start(rng), []
    for day in range(365):
        coefficients, fields = air.day(coefficients, day, rng)
        days.append({name: field.mean(0) for name, field in fields.items()})
    made = {name: np.stack([day[name] for day in days]) for name in weather.NAMES}
    made["t2m"] = made["t2m"].clip(271.3)  # air over water that does not freeze
    made["d2m"] = made["t2m"] - np.float32(3.5)  # 80 % of humidity
    made["strd"] = np.float32(0.83 * 5.670374419e-8) * made["t2m"] ** 4
    bands = 1.6 + 5 * np.exp(-(((lat - 6) / 6) ** 2)) + 2.4 * np.exp(-(((np.abs(lat) - 46) / 12) ** 2))
    made["mtpr"] = np.broadcast_to((bands[:, None] / 86400).astype(np.float32), made["t2m"].shape)
    times = np.arange("2000-01-01", "2000-12-31", dtype="datetime64[D]").astype("datetime64[ns]")
    coords = {"time": times, "latitude": sea.latitude, "longitude": sea.longitude}
    ds = xr.Dataset({n: (("time", "latitude", "longitude"), f, VARIABLES[n].attrs) for n, f in made.items()}, coords)
    return ds.assign(mtpr=(ds.mtpr * balance(ds, sea)).assign_attrs(ds.mtpr.attrs))


def balance(air: xr.Dataset, sea: xr.Dataset) -> float:
    """By what rain is multiplied so that, over the year, it returns what the sea of the start evaporates."""
    monthly = air.isel(time=slice(15, None, 30))
    sst = torch.from_numpy(sea.thetao.isel(depth=0).fillna(0.0).values)[None, None]
    wet = torch.from_numpy(sea.thetao.isel(depth=0).notnull().values.astype("float64"))
    area = torch.from_numpy(grid.area(sea.latitude, sea.longitude).values) * wet
    lost = fallen = 0.0
    for moment in range(monthly.sizes["time"]):
        given = {
            n: torch.from_numpy(monthly[n].isel(time=moment).values.astype("float64"))[None, None] for n in monthly
        }
        fluxes = exchange(given, sst, mask=wet)
        lost, fallen = lost + (area * fluxes["evs"]).sum().item(), fallen + (area * fluxes["mtpr"]).sum().item()
    return lost / fallen


def repeated(air: xr.Dataset, days: int) -> xr.Dataset:
    """The year again and again, lazily."""
    whole = xr.concat([air.chunk(time=73)] * (days // 365 + 1), "time").isel(time=slice(days + 1))
    times = np.datetime64("2000-01-01", "ns") + np.arange(whole.sizes["time"]) * np.timedelta64(86400, "s")
    return whole.assign_coords(time=times)


def draw(run: xr.Dataset) -> None:
    """The picture, and the numbers beside it."""
    last = run.isel(time=slice(-12, None)).mean("time").load()
    thickness, wet = grid.thickness(run.depth), run.thetao.isel(time=0).notnull().load()
    across = np.radians(1.5) * EARTH_RADIUS
    carried = (last.uo.fillna(0) * thickness * wet).sum("depth") * across / 1e6
    # Sv, 0 at the northern coasts: what flows eastward lies to the north of smaller values.
    psi = (carried.cumsum("latitude") - carried.sum("latitude")).where(wet.isel(depth=0))
    passage = carried.sel(latitude=slice(-78, -54)).interp(longitude=-66).sum().item()
    days = (run.time - run.time[0]) / np.timedelta64(1, "D")

    figure, panels = plt.subplots(2, 2, figsize=(11, 6.6), layout="constrained")
    longitude, latitude = run.longitude, run.latitude
    drawn = panels[0, 0].contourf(
        longitude, latitude, psi, levels=np.arange(-160, 161, 10), cmap="RdBu_r", extend="both"
    )
    figure.colorbar(drawn, ax=panels[0, 0], label="Sv")
    panels[0, 0].set_title(f"Transport; {passage:.0f} Sv through Drake Passage")
    drawn = panels[0, 1].pcolormesh(longitude, latitude, last.thetao.isel(depth=0), cmap="RdYlBu_r", vmin=-2, vmax=30)
    figure.colorbar(drawn, ax=panels[0, 1], label="°C")
    panels[0, 1].set_title("Sea surface temperature, mean of the last year")
    speed = np.hypot(last.uo, last.vo).isel(depth=1)
    drawn = panels[1, 0].pcolormesh(longitude, latitude, speed, cmap="viridis", vmin=0, vmax=0.4)
    figure.colorbar(drawn, ax=panels[1, 0], label="m s⁻¹")
    panels[1, 0].set_title(f"Speed at {float(run.depth[1]):.0f} m, mean of the last year")
    for panel in (panels[0, 0], panels[0, 1], panels[1, 0]):
        panel.set(xlabel="longitude (°)", ylabel="latitude (°)", ylim=(-80, 80), facecolor="0.85")
    seconds = np.maximum(days.values, 1) * 86400
    area = float((grid.area(run.latitude, run.longitude) * wet.isel(depth=0)).sum())
    residual = {name: abs(run[f"residual_{name}"]) / run[f"total_{name}"][0] for name in ("volume", "heat", "salt")}
    for name, values in residual.items():
        panels[1, 1].semilogy(days / 365.25, values.clip(min=1e-17), ".", label=name)
    panels[1, 1].set(xlabel="years", ylabel="|content − start − gained| / content", title="Budgets: what is left over")
    panels[1, 1].set_ylim(5e-18, 1e-12)
    panels[1, 1].legend(loc="upper right")
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / "global_ocean.png", dpi=110)
    gained = float(run.gained_heat[-1]) / area / seconds[-1]
    left = float(abs(run.residual_heat[-1])) / area / seconds[-1]
    print(f"{float(days[-1]):.0f} days; passage {passage:.1f} Sv; streamfunction {psi.min():.0f} … {psi.max():.0f} Sv")
    print(f"heat gained {gained:.3f} W m-2, left over {left:.1e} W m-2")
    for name, values in residual.items():
        print(f"{name}: largest relative residual {float(values.max()):.1e}")
    print(f"kinetic energy {float(run.total_kinetic_energy[-1]):.3e} J")


if __name__ == "__main__":
    main()
