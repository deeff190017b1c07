"""The surface: bulk coefficients, sunlight, and the heat of a column and of a slab."""

from __future__ import annotations

import math

import numpy as np
import torch

from oceanx.ocean import bulk
from oceanx.physics.mixed_layer import SlabMixedLayer
from oceanx.physics.radiation import JERLOV, column_warming, transmission
from oceanx.physics.surface_exchange import coefficients, net_longwave, turbulent
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY

from .outcome import Curve, Outcome

DAY = 86400.0
CP = REFERENCE_DENSITY * HEAT_CAPACITY
LY09 = "Large & Yeager 2009, doi:10.1007/s00382-008-0441-3, equation 11, by hand"
PS77 = "Paulson & Simpson 1977, doi:10.1175/1520-0485(1977)007<0952:IMITUO>2.0.CO;2, table 2, by hand"


def neutral_air() -> list[Outcome]:
    """Air as warm and as moist as the sea gives it: the published drag, and the coefficients of heat and vapour."""
    known = {1.0: 2.918394, 5.0: 1.063966, 10.0: 1.175627, 20.0: 1.784736, 40.0: 2.34}
    speeds = np.linspace(0.5, 45.0, 200)
    lines = {
        f"air {warmer:+.0f} K": (speeds, 1e3 * _transfer(speeds, 290.0 + warmer).drag.numpy())
        for warmer in (-4.0, 0.0, 1.0)
    }
    curve = Curve("Drag of the wind at 10 m", "wind (m/s)", "10³ C_D", lines)
    drags = [
        Outcome(
            f"10³ C_D in neutral air at {speed:g} m/s",
            "1",
            1e3 * _transfer(np.array([speed]), 290.0).drag.item(),
            drag,
            LY09,
            "the seven digits of the known value",
            1e-6,
            curve=curve if speed == 10 else None,
        )
        for speed, drag in known.items()
    ]
    wind = torch.tensor([10.0], dtype=torch.float64)
    colder, warmer = (
        coefficients(wind, wind * 0 + t, wind * 0 + 0.01, wind * 0 + 290, wind * 0 + 0.01, 0) for t in (289, 291)
    )
    return drags + [
        Outcome(
            f"10³ {what} at 10 m/s before any round",
            "1",
            1e3 * found.item(),
            value,
            LY09.replace("11", "12"),
            why,
            1e-6,
        )
        for what, found, value, why in (
            ("C_H, unstable", colder.heat, 1.1211986, "32.7 √C_DN, seven digits"),
            ("C_H, stable", warmer.heat, 0.6171736, "18 √C_DN, seven digits"),
            ("C_E", colder.moisture, 1.1863447, "34.6 √C_DN, seven digits"),
        )
    ]


def labelled_exchange() -> list[Outcome]:
    """The same algorithm, written twice: cell by cell for Datasets, and on tensors."""
    rng = np.random.default_rng(1)
    n = 20000
    sea = rng.uniform(271.0, 305.0, n)
    air = sea + rng.uniform(-20.0, 12.0, n)
    speed, angle = rng.uniform(0.0, 45.0, n), rng.uniform(0.0, 2 * np.pi, n)
    given = (
        speed * np.cos(angle),
        speed * np.sin(angle),
        air,
        air - rng.uniform(-0.5, 20.0, n),
        np.full(n, 1.01e5),
        sea,
    )
    known = bulk.turbulent(*given)
    found = turbulent(*map(torch.tensor, given))
    error = max(np.abs(f.numpy() - k).max() / np.abs(k).max() for f, k in zip(found, known, strict=True))
    black = net_longwave(torch.zeros(1).double(), torch.tensor([288.15]).double()).item()
    warmer = np.linspace(-8.0, 8.0, 161)
    at = [torch.full((161,), x, dtype=torch.float64) for x in (8.0, 0.0, 290.0, 284.0, 1.01e5, 290.0)]
    at[2] = at[2] + torch.tensor(warmer)
    fluxes = turbulent(*at)
    curve = Curve(
        "Heat into a sea of 290 K at 8 m/s",
        "air less sea (K)",
        "W m-2",
        {"sensible": (warmer, fluxes.sshf.numpy()), "latent, dew point 284 K": (warmer, fluxes.slhf.numpy())},
    )
    return [
        Outcome(
            "largest difference of any flux from the labelled exchange, of its largest value",
            "1",
            error,
            0.0,
            "oceanx.ocean.bulk, in float64, calm to hurricane, −20 to 12 K",
            "round-off, through five rounds",
            1e-12,
            curve=curve,
        ),
        Outcome(
            "long-wave emission of a black sea of 15 °C",
            "W m-2",
            -black,
            390.9185,
            "σ T⁴ with CODATA 2018's σ = 5.670374419e-8, by hand",
            "the seven digits of the known value",
            1e-6,
        ),
    ]


def sunlight() -> list[Outcome]:
    """How much light reaches a depth in Jerlov's waters."""
    depth = torch.linspace(0.0, 100.0, 201, dtype=torch.float64)
    lines = {f"type {kind}": (transmission(depth, water).numpy(), -depth.numpy()) for kind, water in JERLOV.items()}
    curve = Curve("Light in the sea", "share of the surface's", "z (m)", lines)
    known = {("I", 10.0): 0.2719103, ("I", 50.0): 0.04776732, ("II", 10.0): 0.1135745, ("III", 10.0): 0.06265816}
    return [
        Outcome(
            f"share of light at {at:g} m in water of type {kind}",
            "1",
            transmission(torch.tensor(at, dtype=torch.float64), JERLOV[kind]).item(),
            share,
            PS77,
            "the seven digits of the known value",
            1e-6,
            curve=curve if (kind, at) == ("I", 10.0) else None,
        )
        for (kind, at), share in known.items()
    ]


def heat_of_a_column() -> list[Outcome]:
    """A month of sun and of loss at the surface: what columns of 10 to 385 m gain, whatever their floor."""
    thickness = torch.tensor([10.0, 15.0, 20.0, 40.0, 100.0, 200.0], dtype=torch.float64)[:, None, None]
    mask = (torch.arange(6)[:, None, None] <= torch.arange(6)[None, None, :]).double()
    sun, loss = (torch.full((1, 1, 1, 6), value, dtype=torch.float64) for value in (220.0, -90.0))
    temperature = 10.0 * mask[None]
    for _ in range(30):
        temperature = temperature + DAY * column_warming(loss, sun, thickness, mask)
    gained = (CP * thickness * (temperature - 10.0 * mask)).sum(1)
    known = 130.0 * 30 * DAY
    single = SlabMixedLayer(_basin(), kind="I")
    forcing = _fluxes(mlotst=50.0, str=100.0)
    warmed = single(single.begin({"sst": torch.zeros(1, 1, 1, 1).double()}), forcing, 30 * DAY, 30)["sst"].item()
    centres = -(thickness.cumsum(0) - thickness / 2).flatten().numpy()
    curve = Curve(
        "Warmed for a month by 220 W m-2 of sun, cooled by 90 W m-2",
        "temperature (°C)",
        "z (m)",
        {
            f"floor at {float(thickness[: n + 1].sum()):g} m": (
                temperature[0, : n + 1, 0, n].numpy(),
                centres[: n + 1],
            )
            for n in (2, 5)
        },
    )
    return [
        Outcome(
            "largest difference of a column's heat from flux × time, of it",
            "1",
            (gained / known - 1.0).abs().max().item(),
            0.0,
            "conservation: 130 W m-2 for 30 days",
            "round-off of 30 additions to 10 °C, over layers of 10 to 200 m that warm by 0.1 K",
            1e-12,
            curve=curve,
        ),
        Outcome(
            "warming of 50 m by 100 W m-2 for 30 days",
            "K",
            warmed,
            100.0 * 30 * DAY / (CP * 50.0),
            "Q t / (ρ₀ c_p h)",
            "round-off of 30 steps",
            1e-12,
        ),
    ]


def seasons_of_a_slab() -> list[Outcome]:
    """50 m of water under ±100 W m-2 over a year of 360 days: it lags by a quarter, and swings by Q / (ρ₀ c_p h ω)."""
    steps, held, depth, size = 72, 5 * DAY, 50.0, 100.0
    omega = 2 * math.pi / (steps * held)
    core = SlabMixedLayer(_basin())
    state, sst = core.begin({"sst": torch.zeros(1, 1, 1, 1).double()}), []
    for step in range(steps):
        state = core(state, _fluxes(mlotst=depth, str=size * math.sin(omega * (step + 0.5) * held)), held, 1)
        sst.append(state["sst"].item())
    time = omega * held * np.arange(1, steps + 1)
    sine, cosine = 2 * np.mean(sst * np.sin(time)), 2 * np.mean(sst * np.cos(time))
    amplitude, lag = math.hypot(sine, cosine), math.degrees(math.atan2(-cosine, sine))
    known = size / (CP * depth * omega)
    exact = known * (1 - np.cos(time))
    curve = Curve(
        "A slab's year",
        "day",
        "warmer than on day 0 (K)",
        {"slab": (time / omega / DAY, sst), "exact": (time / omega / DAY, exact)},
    )
    source = "h dT/dt = Q sin(ωt) / (ρ₀ c_p): T = −Q cos(ωt) / (ρ₀ c_p h ω)"
    return [
        Outcome(
            "amplitude of a slab's year",
            "K",
            amplitude,
            known,
            source,
            "a flux held for Δt, five days: (ωΔt)²/24 too much, to leading order",
            (omega * held) ** 2 / 24 * 1.01,
            curve=curve,
        ),
        Outcome(
            "lag of a slab behind its heating", "°", lag, 90.0, source, "round-off: held fluxes do not shift it", 1e-9
        ),
    ]


CASES = {
    "neutral air": neutral_air,
    "the labelled exchange": labelled_exchange,
    "sunlight": sunlight,
    "heat of a column": heat_of_a_column,
    "seasons of a slab": seasons_of_a_slab,
}


def _transfer(speed: np.ndarray, theta: float) -> object:
    """Coefficients over a sea of 290 K in air as moist as the sea gives it."""
    wind = torch.tensor(speed)
    return coefficients(wind, wind * 0 + theta, wind * 0 + 0.011, wind * 0 + 290.0, wind * 0 + 0.011)


def _basin() -> Geometry:
    """One cell of sea."""
    return Geometry(
        torch.tensor([40.0, 41.0]), torch.tensor([0.0, 1.0]), torch.tensor([5.0]), torch.tensor([10.0]),
        torch.ones(1, 1, 1), False, torch.float64,
    )  # fmt: skip


def _fluxes(**values: float) -> Fields:
    given = {"str": 0.0, "ssr": 0.0, "sshf": 0.0, "slhf": 0.0} | values
    return Fields({name: torch.full((1, 1, 1, 1), value, dtype=torch.float64) for name, value in given.items()})
