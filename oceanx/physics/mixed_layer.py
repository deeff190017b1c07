"""Mixed layer: the heat budget of a slab of water under the weather, the core of models of sea surface temperature.

    h ∂T/∂t = (Q − q(h)) / (ρ₀ c_p) − h u·∇T + w_e (T_b − T) + ∇·(κ h ∇T)

T is the layer's temperature and that of the sea surface, h its depth, Q the surface's heat and q(h) the light that
leaves through the bottom. u is a current that is given, with the wind's Ekman drift beside it where that is asked for.
Water of temperature T_b enters from below at the speed w_e ≥ 0; water that leaves downward takes its temperature along.

References
----------
Frankignoul (1985), Rev. Geophys. 23, 357, doi:10.1029/RG023i004p00357.
Kraus & Turner (1967), Tellus 19, 98, doi:10.1111/j.2153-3490.1967.tb01462.x.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.integrate import heun, repeat
from oceanx.tensors.operators import mean_x, mean_y
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import ZERO_CELSIUS
from oceanx.vocabulary.errors import InputError

from .courant import advection_rate, diffusion_rate, largest
from .ekman import ekman_velocity
from .mixing import diffusion
from .radiation import transmission, warming, water_type
from .surface_exchange import net_longwave, turbulent
from .transport import Flux, face_volume_flux, transport

FLUXES = ("str", "ssr", "sshf", "slhf")
WEATHER = ("u10", "v10", "t2m", "d2m", "msl", "strd", "ssr")

Surface = Float[Tensor, "batch 1 lat lon"]


class MixedLayerConfig(Config):
    """The slab as plain values; `SlabMixedLayer` says what they are."""

    kind: Literal["mixed_layer"] = "mixed_layer"
    forced_by: Literal["fluxes", "weather"] = "fluxes"
    currents: bool = False
    ekman: bool = False
    entrainment: bool = False
    diffusivity: NonNegativeFloat = 0.0  # m2 s-1
    drag: NonNegativeFloat = 6.6e-6  # s-1
    jerlov: Literal["I", "IA", "IB", "II", "III"] = "I"
    least_depth: PositiveFloat = 10.0  # m
    scheme: Literal["upwind", "centred", "third", "limited", "weno"] = "limited"

    def build(self, geometry: Geometry) -> SlabMixedLayer:
        """The core on this grid."""
        given = self.model_dump(exclude={"kind", "jerlov"})
        return SlabMixedLayer(geometry, kind=self.jerlov, **given)


class SlabMixedLayer(nn.Module):
    """The slab as a Core: `sst` under fluxes or weather, in a layer as deep as `mlotst`.

    Parameters
    ----------
    geometry
        Of any depth: only its surface counts.
    forced_by
        `fluxes`: by `str ssr sshf slhf`. `weather`: by `u10 v10 t2m d2m msl strd ssr`, the fluxes following the slab's
        own temperature.
    currents
        Whether `uo` and `vo` of the forcing carry heat (and the wind is relative to them).
    ekman
        Whether the wind's drift over the layer carries heat, from `tauuo` and `tauvo` or the weather.
    entrainment
        Whether water of temperature `t_below` (°C) enters from below at `w_entrain` (m s-1).
    diffusivity
        κ, m2 s-1; may be a tensor that is learnt.
    drag
        Of the Ekman drift, s-1: see `ekman`.
    kind
        Jerlov's type of water.
    least_depth
        m: a layer given as thinner is taken to be as deep as this.
    scheme
        Of `transport`.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        forced_by: str = "fluxes",
        currents: bool = False,
        ekman: bool = False,
        entrainment: bool = False,
        diffusivity: float | Tensor = 0.0,
        drag: float | Tensor = 6.6e-6,
        kind: str = "I",
        least_depth: float = 10.0,
        scheme: str = "limited",
    ):
        super().__init__()
        if forced_by not in ("fluxes", "weather"):
            raise InputError(f"SlabMixedLayer: found forced_by={forced_by!r}; expected 'fluxes' or 'weather'")
        self.geometry, self.top = geometry, surface_geometry(geometry)
        self.by_weather, self.currents, self.ekman = forced_by == "weather", currents, ekman
        self.entrainment, self.mixing = entrainment, isinstance(diffusivity, Tensor) or diffusivity > 0
        self.diffusivity, self.drag, self.water = diffusivity, drag, water_type(kind)
        self.least_depth, self.scheme = least_depth, scheme
        self.prognostic: tuple[str, ...] = ("sst",)
        self.forcing: tuple[str, ...] = (
            *(WEATHER if self.by_weather else FLUXES),
            "mlotst",
            *(("uo", "vo") if currents else ()),
            *(("tauuo", "tauvo") if ekman and not self.by_weather else ()),
            *(("w_entrain", "t_below") if entrainment else ()),
        )

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """The state: `sst`, 0 on land."""
        return State({"sst": self._wet(fields["sst"])})

    def end(self, state: State) -> dict[str, Tensor]:
        """`sst` again."""
        return dict(state)

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """What warms the slab, by name, K s-1.

        `shortwave`, `longwave`, `sensible`, `latent`; then, where they are asked for, `advection`, `ekman`,
        `entrainment` and `diffusion`.
        """
        sst, given = state["sst"], self._given(state, forcing)
        depth = given["mlotst"]
        kept = given["ssr"] * (1.0 - transmission(depth, self.water))
        rates = {
            "shortwave": warming(kept, depth),
            "longwave": warming(given["str"], depth),
            "sensible": warming(given["sshf"], depth),
            "latent": warming(given["slhf"], depth),
        }
        cells = Cells(self.top.area * depth, self.top.mask_x, self.top.mask_y)
        for name, flow in self._flows(given).items():
            rates[name] = transport(sst, flow, cells, self.scheme)
        if self.entrainment:
            rates["entrainment"] = entrainment(sst, given["t_below"], given["w_entrain"], depth)
        if self.mixing:
            rates["diffusion"] = diffusion(sst, self.top, self.diffusivity, depth)
        return {name: Tendency({"sst": rate * self.top.mask}) for name, rate in rates.items()}

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """By cause, the largest number of times a second that a signal crosses a cell.

        Currents are forcing here: without it only `diffusion` is known. Water that enters from below counts as
        `advection`.
        """
        top, found = self.top, {}
        if self.mixing:
            found["diffusion"] = largest(diffusion_rate(self.diffusivity, top) * top.mask, top)
        if forcing is not None and (self.currents or self.ekman or self.entrainment):
            given = self._given(state, forcing)
            depth = given["mlotst"]
            crossings = given["w_entrain"].clamp(min=0.0) / depth if self.entrainment else torch.zeros_like(depth)
            for flow in self._flows(given).values():
                crossings = crossings + advection_rate(flow.x, flow.y, top.area * depth)
            found["advection"] = largest(crossings * top.mask, top)
        return dict(found)

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds under this forcing, in so many equal steps of Heun's method."""

        def dynamics(x: State) -> Tendency:
            return sum(self.terms(x, forcing).values(), start=Tendency({}))

        return repeat(heun, dynamics, state, seconds, steps)

    def _given(self, state: State, forcing: Fields) -> dict[str, Tensor]:
        """The forcing, 0 on land, with the fluxes that follow from the weather and a layer that is nowhere too thin."""
        missing = [name for name in self.forcing if name not in forcing]
        if missing:
            raise InputError(f"SlabMixedLayer: the forcing lacks {missing}; expected {list(self.forcing)}")
        given = {name: self._wet(forcing[name], _OVER_LAND.get(name, 0.0)) for name in self.forcing}
        given["mlotst"] = given["mlotst"].clamp(min=self.least_depth)
        return given | self._bulk(state["sst"], given) if self.by_weather else given

    def _bulk(self, sst: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        u, v, sea = given["u10"], given["v10"], sst + ZERO_CELSIUS
        if self.currents:
            u, v = u - given["uo"], v - given["vo"]
        fluxes = turbulent(u, v, given["t2m"], given["d2m"], given["msl"], sea)
        return fluxes._asdict() | {"str": net_longwave(given["strd"], sea)}

    def _flows(self, given: Mapping[str, Tensor]) -> dict[str, Flux]:
        """What carries heat from cell to cell, by name: volume fluxes, m3 s-1."""
        depth, found = given["mlotst"], {}
        if self.currents:
            found["advection"] = self._flow(given["uo"], given["vo"], depth)
        if self.ekman:
            drift = ekman_velocity(given["tauuo"], given["tauvo"], depth, self.top.coriolis, self.drag)
            found["ekman"] = self._flow(*drift, depth)
        return found

    def _flow(self, u: Tensor, v: Tensor, depth: Tensor) -> Flux:
        return face_volume_flux(mean_x(u), mean_y(v), self.top, depth)

    def _wet(self, field: Tensor, elsewhere: float = 0.0) -> Tensor:
        return torch.where(self.top.mask > 0, field[:, :1], elsewhere)


# What stands over land in the place of weather, so that the bulk formulae have air to work on.
_OVER_LAND = {"t2m": 273.15, "d2m": 270.0, "msl": 1.0e5, "mlotst": 10.0}


def entrainment(sst: Surface, below: Surface, speed: Surface, depth: Surface) -> Surface:
    """How fast the layer warms by water from below, K s-1: max(w_e, 0) (T_b − T) / h."""
    return speed.clamp(min=0.0) * (below - sst) / depth


def entrainment_velocity(before: Surface, after: Surface, seconds: float, divergence: float | Tensor = 0.0) -> Surface:
    """How fast water enters a layer that deepens from `before` to `after` (m), m s-1: max(∂h/∂t + ∇·(h u), 0).

    Parameters
    ----------
    divergence
        ∇·(h u), m s-1: what the currents carry out of the layer must come from below. `ekman_pumping` is one of it.
    """
    return ((after - before) / seconds + divergence).clamp(min=0.0)


def temperature_below(
    thetao: Float[Tensor, "batch depth lat lon"],
    mlotst: Surface,
    geometry: Geometry,
    gap: float = 10.0,
) -> Surface:
    """The temperature `gap` metres below the mixed layer, °C: linear between levels, the lowest wet one going on."""
    levels = geometry.depth[:, None, None]
    at = mlotst + gap
    share = ((at - levels[:-1]) / (levels[1:] - levels[:-1])).clamp(0.0, 1.0)
    return thetao[:, :1] + (share * (thetao[:, 1:] - thetao[:, :-1]) * geometry.mask[1:]).sum(1, keepdim=True)


def surface_geometry(geometry: Geometry) -> Geometry:
    """The same Geometry with its uppermost level only."""
    top = copy.deepcopy(geometry)
    for name in ("depth", "thickness", "mask", "mask_x", "mask_y", "mask_xy"):
        setattr(top, name, getattr(top, name)[:1])
    top.interfaces, top.mask_z = top.interfaces[:2], torch.zeros_like(top.mask)
    return top
