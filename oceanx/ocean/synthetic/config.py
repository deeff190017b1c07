"""Ocean: which ocean to build. A small frozen description; everything else follows from it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import GLORYS_LEVELS

LEVELS = tuple(GLORYS_LEVELS[i] for i in (0, 10, 17, 21, 24, 26, 28, 31))  # 0.5 … 541 m

# What a store baked from these files says of itself, in place of what the recipe says of the real provider.
CREDIT = {
    "title": "The built-in ocean of oceanx",
    "institution": "oceanx",
    "source": "oceanx.ocean.synthetic: a simulated ocean that exists nowhere",
    "references": "",
    "licence": "Apache-2.0",
}


def _levels(depth: tuple[float, ...]) -> tuple[float, ...]:
    """Each depth as the GLORYS level it means."""
    exact = [min(GLORYS_LEVELS, key=lambda level, d=d: abs(level - d)) for d in depth]  # type: ignore[misc]
    wrong = [d for d, level in zip(depth, exact, strict=True) if abs(d - level) > 0.05]
    if wrong or not exact:
        raise ValueError(f"{wrong} are not GLORYS12 levels in metres (0.494, 1.541, … 5727.9)")
    if exact != sorted(set(exact)):
        raise ValueError("depth levels must increase downwards, each once")
    return tuple(exact)


class Ocean(Config):
    """An idealised ocean: where it lies, how finely it is delivered, which levels, and the seed of its weather.

    A domain of 360° of longitude is periodic and gets idealised continents; any other is a closed basin with a shelf
    on both sides, islands, and a strait beside a peninsula. The ocean is computed on cells half as wide.

    Examples
    --------
    >>> Ocean().shape, Ocean.globe().shape
    ((72, 96), (120, 240))
    """

    latitude: tuple[float, float] = (15.0, 51.0)
    longitude: tuple[float, float] = (-80.0, -32.0)
    resolution: Annotated[float, Field(gt=0, le=5)] = 0.5
    depth: Annotated[tuple[float, ...], AfterValidator(_levels)] = LEVELS
    seed: Annotated[int, Field(ge=0)] = 0
    spinup: Annotated[int, Field(ge=0)] = 600  # days before the first delivered one, tracers in the last 300 only
    noise: Annotated[float, Field(ge=0)] = 3e-3  # m of sea level per day: the dial of predictability

    @classmethod
    def basin(cls, resolution: float = 0.5, **changes: object) -> Self:
        """The demo's basin at any resolution."""
        return cls.parse({"resolution": resolution, **changes}, "Ocean")

    @classmethod
    def globe(cls, resolution: float = 1.5, **changes: object) -> Self:
        """The whole Earth, periodic in longitude, with land beyond 80°."""
        bounds = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0)}
        return cls.parse({**bounds, "resolution": resolution, **changes}, "Ocean")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
            low, high = getattr(self, name)
            if not -limit <= low < high <= limit:
                raise ValueError(f"{name} bounds {low} … {high} must increase within ±{limit:g}")
            cells = (high - low) / self.resolution
            if abs(cells - round(cells)) > 1e-6 or cells < 12:
                raise ValueError(f"{name} {low} … {high} holds {cells:g} cells of {self.resolution}°: choose bounds "
                                 "that hold a whole number, 12 or more")  # fmt: skip
        if not self.periodic and self.latitude[0] < 0 < self.latitude[1]:
            raise ValueError("a closed basin must lie in one hemisphere; the whole Earth spans 360° of longitude")
        return self

    @property
    def periodic(self) -> bool:
        """Whether the domain spans all longitudes."""
        return self.longitude[1] - self.longitude[0] == 360.0

    @property
    def shape(self) -> tuple[int, int]:
        """Delivered cells, (latitude, longitude)."""
        rows, columns = self.latitude[1] - self.latitude[0], self.longitude[1] - self.longitude[0]
        return round(rows / self.resolution), round(columns / self.resolution)
