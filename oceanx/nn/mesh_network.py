"""Mesh network: a map is told to the vertices of a multi-mesh, they talk to each other, and tell the map.

grid ──encode──▶ mesh ──16 layers of talk──▶ mesh ──decode──▶ grid

On a rotated globe its answer differs: an icosahedron has few symmetries, and a grid shares none of them.

References
----------
Lam et al. (2023), Science 382, 1416, doi:10.1126/science.adi2336 (GraphCast); Gao et al. (2025), ICML
(OneForecast), arXiv:2502.00338; Gao et al. (2026), Proc. AAAI 40 (NeuralOM), arXiv:2505.21020.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .layers import silent
from .mesh import MultiMesh, Region, multi_mesh
from .mesh_blocks import (
    MLP,
    AttendingNode,
    ComparingMessage,
    DampedMessage,
    GatedNode,
    Graph,
    Layer,
    Message,
    SummingNode,
)


class MeshConfig(Config):
    """The mesh and the network on it; the defaults are NeuralOM's at 0.5°.

    `level` is how often the icosahedron is refined over the whole globe (5: vertices 2.2° apart), `finer` how often
    more where the grid has cells, or only within `region` (south, west, north, east in degrees). With `wet` the mesh
    knows wet columns alone: nothing is read or written on land.

    The layers are those of `neuralom` (messages compare both ends of an edge, a gate between sum and mean), of
    `graphcast` (plain messages, summed) or of `oneforecast` (messages damped by gates, weighted by attention in
    `heads`). `recompute` keeps only what passes between layers for the backward pass and computes their inside again.

    `as_published` does as the released NeuralOM: messages compare one node with itself, the gate is unbounded, the
    vertices' coordinates go into sine and cosine in degrees, and the grid lies upside down and one column too far
    east.
    """

    kind: Literal["mesh"] = "mesh"
    level: Annotated[int, Field(ge=0, le=8)] = 5
    finer: Annotated[int, Field(ge=0, le=8)] = 0
    region: Region | None = None
    wet: bool = False
    width: PositiveInt = 432
    layers: PositiveInt = 16
    processor: Literal["neuralom", "graphcast", "oneforecast"] = "neuralom"
    heads: PositiveInt = 4
    recompute: bool = False
    as_published: bool = False

    @model_validator(mode="after")
    def _check(self) -> MeshConfig:
        if self.region and not (self.finer and -90 <= self.region[0] < self.region[2] <= 90):
            raise ValueError("`region` is south, west, north, east in degrees, of which `finer` says how much finer")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> MeshNetwork:
        """The network, its last layer zero."""
        return MeshNetwork(self, channels_in, channels_out, geometry)

    def layer(self) -> Layer:
        """One layer of the processor."""
        if self.processor == "graphcast":
            return Layer(Message(self.width), SummingNode(self.width))
        if self.processor == "oneforecast":
            return Layer(DampedMessage(self.width, self.heads), AttendingNode(self.width, self.heads))
        return Layer(ComparingMessage(self.width, self.as_published), GatedNode(self.width, self.as_published))


class MeshNetwork(nn.Module):
    """Encoder, processor and decoder; LayerNorm inside, no state that differs between the maps of a batch."""

    vertices: Tensor
    cells: Tensor

    def __init__(self, config: MeshConfig, channels_in: int, channels_out: int, geometry: Geometry):
        super().__init__()
        self.recompute = config.recompute
        cells, latitude, longitude = _cells(geometry, config)
        mesh = multi_mesh(latitude, longitude, config.level, config.finer, config.region)
        self.register_buffer("cells", torch.from_numpy(cells), persistent=False)
        self.register_buffer("vertices", torch.from_numpy(_known(mesh, config.as_published)), persistent=False)
        self.inwards, self.within = (Graph(edges, len(mesh.vertices)) for edges in (mesh.inwards, mesh.within))
        self.outwards = Graph(mesh.outwards, len(cells))
        width = config.width
        self.embed_cells = MLP(channels_in, width, width)
        self.embed_vertices = MLP(self.vertices.shape[-1], width, width)
        self.embed_inwards, self.embed_within, self.embed_outwards = (
            MLP(self.inwards.features.shape[-1], width, width) for _ in range(3)
        )
        self.encode = Message(width)
        self.encode_vertices, self.encode_cells = SummingNode(width), MLP(width, width, width)
        self.processor = nn.ModuleList(config.layer() for _ in range(config.layers))
        self.decode, self.decode_cells = Message(width), SummingNode(width)
        self.head = MLP(width, width, channels_out, norm=False)
        silent(self.head.second)

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        flat = x.flatten(2).permute(2, 0, 1)
        whole = len(self.cells) == len(flat)
        cells = self.embed_cells(flat if whole else flat.index_select(0, self.cells))
        vertices, cells = self._encoded(cells)
        written = self.head(self._decoded(self._processed(vertices), cells))
        if not whole:
            written = written.new_zeros(len(flat), *written.shape[1:]).index_copy(0, self.cells, written)
        return written.permute(1, 2, 0).unflatten(2, x.shape[-2:])

    def _encoded(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        vertices = self.embed_vertices(self.vertices.to(cells.dtype))
        said = self.encode(self._embedded(self.embed_inwards, self.inwards, cells), cells, vertices, self.inwards)
        return vertices + self.encode_vertices(said, vertices, self.inwards), cells + self.encode_cells(cells)

    def _processed(self, vertices: Tensor) -> Tensor:
        edges = self._embedded(self.embed_within, self.within, vertices)
        for layer in self.processor:
            if self.recompute and torch.is_grad_enabled():
                edges, vertices = recomputed(layer, edges, vertices, self.within, use_reentrant=False)
            else:
                edges, vertices = layer(edges, vertices, self.within)
        return vertices

    def _decoded(self, vertices: Tensor, cells: Tensor) -> Tensor:
        edges = self._embedded(self.embed_outwards, self.outwards, cells)
        return cells + self.decode_cells(self.decode(edges, vertices, cells, self.outwards), cells, self.outwards)

    def _embedded(self, embed: MLP, graph: Graph, like: Tensor) -> Tensor:
        """What the edges know of themselves, the same for every map of the batch."""
        return embed(graph.features.to(like.dtype))


def _cells(geometry: Geometry, config: MeshConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the cells that the mesh knows, and their latitude and longitude in degrees."""
    latitude, longitude = (axis.detach().cpu().double().numpy() for axis in (geometry.latitude, geometry.longitude))
    if abs(latitude).max() > 90:
        raise InputError(f"a mesh lies on the sphere: found latitudes up to {abs(latitude).max():g}, expected degrees")
    if config.as_published:
        latitude, longitude = -latitude, longitude + np.diff(longitude).mean()
    wet = geometry.surface[0].cpu().numpy().ravel() > 0 if config.wet else np.full(latitude.size * longitude.size, True)
    cells = np.flatnonzero(wet)
    if not len(cells):
        raise InputError("wet: the grid has no wet cell at the surface; give another region, or wet: false")
    return cells, np.repeat(latitude, longitude.size)[cells], np.tile(longitude, latitude.size)[cells]


def _known(mesh: MultiMesh, as_published: bool) -> np.ndarray:
    """What a vertex knows of itself: cos φ, sin λ and cos λ [vertex, 1, 3]."""
    phi = np.arcsin(mesh.vertices[:, 2].clip(-1, 1))
    lam = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])
    if as_published:
        phi, lam = np.rad2deg(phi), np.rad2deg(lam)
    return np.stack((np.cos(phi), np.sin(lam), np.cos(lam)), axis=-1)[:, None].astype(np.float32)
