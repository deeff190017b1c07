"""Count the weights of systems and networks, and write them into the tables of `systems.md`.

python docs/systems.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from oceanx.models.hybridom_gating import FluxGating
from oceanx.models.named_network import NamedNetwork
from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.registry import NetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.channels import CLIMATOLOGY, Task
from oceanx.vocabulary.config import Config
from oceanx.workflows.train_config import preset

PAGE = Path(__file__).with_name("systems.md")
SYSTEMS = {
    "neuralogcm": ("neuralogcm", "neuralogcm_small"),
    "neuralom": ("neuralom", "neuralom_small"),
    "hybridom": ("hybridom", "hybridom_0p25", "hybridom_small", "hybridom_regional", "hybridom_regional_small"),
    "ocean_e2e": ("ocean_e2e", "ocean_e2e_regional", "ocean_e2e_small"),
}
# What the released code has, in millions: presets by part, and networks with the channels that they read and write.
_E2E = {"velocity": 40.21, "correction": 3.468, "source": 3.469}
RELEASED: dict[str, dict[str, float]] = {
    "neuralom": {"stages.0": 55.10, "stages.1": 55.10},
    "hybridom": {"inverse": 23.99, "network": 42.72},
    "hybridom_0p25": {"inverse": 3.39, "network": 34.45},
    "hybridom_regional": {"inverse": 16.29, "network": 42.73, "gating": 3.87},
    "ocean_e2e": _E2E,
    "ocean_e2e_regional": _E2E,
}
NETWORKS: dict[str, tuple[int, int, float | None]] = {
    "afno": (101, 93, None), "cirt": (101, 93, 44.2), "cno": (7, 1, 10.6), "convlstm": (99, 93, 0.68),
    "encoder_attention": (101, 93, None), "fno": (7, 1, 8.4), "large_kernel_unet": (3, 3, 26.0), "lsm": (7, 1, 19.2),
    "mesh": (101, 93, 55.10), "multiconv": (2, 2, 40.21), "paramnet": (99, 99, 42.72), "pastnet": (7, 1, 15.6),
    "resnet": (99, 93, 21.6), "simvp": (7, 1, 3.469), "unet": (99, 93, None), "vit": (99, 93, 11.1),
}  # fmt: skip
_REFERENCE = re.compile(r"(?:^|; )(\w[^;(]*) \((\d{4})\)[^;]*?(doi:|arXiv:)([^\s;,]+)", re.M | re.S)
_WHERE = {"doi:": "https://doi.org/", "arXiv:": "https://arxiv.org/abs/"}


def filled(page: str) -> str:
    """The page with its tables as the code has them now."""
    tables = {f"weights of {system}": weights(presets) for system, presets in SYSTEMS.items()}
    for place, table in (tables | {"networks": networks()}).items():
        before, mark, after = page.partition(f"<!-- {place}: written by docs/systems.py -->\n\n")
        page = before + mark + table + re.sub(r"\A(?:\|.*\n)*", "", after)
    return page


def weights(presets: tuple[str, ...]) -> str:
    """The weights of presets, a column for each part that has a network; released numbers in brackets."""
    found = {name: parts(name) for name in presets}
    columns = list(dict.fromkeys(part for counts in found.values() for part in counts))
    rows = [["preset", *(f"`{part}`" for part in columns), "together"], ["---"] * (len(columns) + 2)]
    for name, counts in found.items():
        cells = [beside(counts.get(part, 0), RELEASED.get(name, {}).get(part)) for part in columns]
        rows.append([f"`{name}`", *cells, beside(sum(counts.values()))])
    return drawn(rows)


def parts(name: str) -> dict[str, int]:
    """How many weights each network of a preset has, by where it stands in the model."""
    config = preset(name)
    model: nn.Module = coarse(config.model).build(  # type: ignore[attr-defined]
        config.task, small(len(config.task.prognostic.depth)), ones(config.task)
    )
    named = {part: module for part, module in model.named_modules() if isinstance(module, NamedNetwork | FluxGating)}
    return {part: count(module) for part, module in named.items()}


def networks() -> str:
    """Every network of the table in `nn/`, as it is by default."""
    rows = [["`kind:`", "what it is", "after", "weights", "released", "turns by"], ["---"] * 6]
    for config in get_args(get_args(NetConfig)[0]):
        channels_in, channels_out, released = NETWORKS[config().kind]
        # CirT's weights are of rings of latitude; no other's know the grid.
        geometry = small(1, 360, 720) if config().kind == "cirt" else small(1)
        with torch.device("meta"):
            built = coarse(config()).build(channels_in, channels_out, geometry)  # type: ignore[attr-defined]
        said = described(sys.modules[config.__module__].__doc__ or "")
        size = f"{beside(count(built))} at {channels_in} → {channels_out}"
        turns = getattr(built, "turns_by", None) or "–"
        rows.append([f"`{config().kind}`", *said, size, f"{released} M" if released else "–", str(turns)])
    return drawn(rows)


def described(text: str) -> tuple[str, str]:
    """What a module's docstring says first, and links to what it refers to."""
    what, _, references = text.partition("References\n----------\n")
    links = []
    for authors, year, kind, number in _REFERENCE.findall(references):
        name = f"{authors.split(',')[0]} et al." if "," in authors else authors
        links.append(f"[{name} {year}]({_WHERE[kind]}{number.rstrip('.')})")
    return " ".join(what.split("\n\n")[0].split()).rstrip("."), "; ".join(links)


def coarse(config: Config) -> Config:
    """The same on a coarse mesh, on which no weight depends."""
    if isinstance(config, MeshConfig):
        return config.model_copy(update={"level": 1, "finer": 0})
    stages = getattr(config, "stages", ())
    return config.model_copy(update={"stages": tuple(map(coarse, stages))}) if stages else config


def count(module: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def beside(ours: int, released: float | None = None) -> str:
    """Our number, and the released one in brackets; nothing of nothing."""
    said = f"{ours / 1e6:.2f} M" if ours >= 1e5 else f"{ours / 1e3:.0f} k" if ours else ""
    return said + (f" ({released})" if released else "")


def drawn(rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def small(levels: int, rows: int = 8, columns: int = 16) -> Geometry:
    """A band of sea around the globe."""
    edges, depth = (torch.linspace(-60, 60, rows + 1), torch.linspace(-180, 180, columns + 1)), torch.arange(levels)
    layers = 5.0 + 10.0 * depth, torch.full((levels,), 10.0), torch.ones(levels, rows, columns)
    return Geometry(*edges, *layers, periodic=True)


def ones(task: Task) -> dict[str, Tensor]:
    """Statistics for a task, all of them 1."""
    kinds = [f"{season}_{kind}" for season in ("", CLIMATOLOGY) for kind in ("mean", "std")] + ["_increment_std"]
    fields = [(name, channels.levels(name)) for channels in (task.prognostic, task.forcing) for name in channels.names]
    return {name + kind: torch.ones(levels) for name, levels in fields for kind in kinds}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
