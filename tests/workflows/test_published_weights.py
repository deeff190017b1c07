"""Released checkpoints: read by name, the same numbers as the released arithmetic, and what does not fit is named.

The released network is written out here once more, from its tensors' names and its equations alone.
"""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy
from torch.nn.functional import cosine_similarity, layer_norm, linear, silu

from oceanx.models.neuralom import NeuralOMConfig
from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.published_weights import load_network, load_published, misfits, read

WIDTH, LAYERS, HEADS = 20, 4, 3
GATES = max(16, WIDTH // 8)


def mlp_shapes(place, channels_in, channels_out=WIDTH, norm=True):
    shapes = {"model.0.weight": (WIDTH, channels_in), "model.0.bias": (WIDTH,)}
    shapes |= {"model.2.weight": (channels_out, WIDTH), "model.2.bias": (channels_out,)}
    if norm:
        shapes |= {"model.3.weight": (channels_out,), "model.3.bias": (channels_out,)}
    return {f"{place}.{part}": shape for part, shape in shapes.items()}


def message_shapes(place, compares=False):
    square = (WIDTH, WIDTH)
    shapes = {"lin_efeat": square, "lin_src": square, "lin_dst": square, "bias": (WIDTH,), "model.1.weight": square}
    shapes |= dict.fromkeys(("model.1.bias", "model.2.weight", "model.2.bias"), (WIDTH,))
    for end in ("src", "dst") if compares else ():
        shapes |= {f"physics_{end}.weight": (WIDTH, 3 * WIDTH + 1), f"physics_{end}.bias": (WIDTH,)}
        shapes |= {f"norm_{end}.weight": (WIDTH,), f"norm_{end}.bias": (WIDTH,)}
    return {f"{place}.{part}": shape for part, shape in shapes.items()}


def blocks():
    """Places of the processor's layers: one, all but two, one; a block of edges, then one of nodes."""
    stacks = [("processor_encoder", 0), *(("processor", i) for i in range(LAYERS - 2)), ("processor_decoder", 0)]
    return [tuple(f"{stack}.processor_layers.{2 * i + block}" for block in (0, 1)) for stack, i in stacks]


def shapes(channels_in, channels_out, processor):
    found = {"device_buffer": (0,)}
    for place, channels in (("grid_node", channels_in), ("mesh_node", 3), ("mesh_edge", 4), ("grid2mesh_edge", 4)):
        found |= mlp_shapes(f"encoder_embedder.{place}_mlp", channels)
    found |= mlp_shapes("decoder_embedder.mesh2grid_edge_mlp", 4)
    found |= message_shapes("encoder.edge_mlp") | message_shapes("decoder.edge_mlp")
    found |= mlp_shapes("encoder.src_node_mlp", WIDTH) | mlp_shapes("encoder.dst_node_mlp", 2 * WIDTH)
    found |= mlp_shapes("decoder.node_mlp", 2 * WIDTH) | mlp_shapes("finale", WIDTH, channels_out, norm=False)
    for edge, node in blocks():
        found |= message_shapes(f"{edge}.edge_mlp", compares=processor == "neuralom")
        if processor == "neuralom":
            found |= mlp_shapes(f"{node}.node_mlp", 2 * WIDTH)
            found |= mlp_shapes(f"{node}.gate_net", 4 * WIDTH, 1, norm=False)
        else:
            found |= mlp_shapes(f"{node}.node_mlp", (HEADS + 1) * WIDTH)
            for place, first, last in ((f"{edge}.gate_net", 3, 3 * HEADS), (f"{node}.attn_net", 1, HEADS)):
                found |= {f"{place}.0.weight": (GATES, first * WIDTH), f"{place}.0.bias": (GATES,)}
                found |= {f"{place}.2.weight": (last, GATES), f"{place}.2.bias": (last,)}
    return found


def released(path, channels_in=3, channels_out=2, processor="neuralom", seed=0, prefix="module.", **changed):
    """Write a checkpoint as the released code does; gives its tensors."""
    random = torch.Generator().manual_seed(seed)
    tensors = {
        name: 0.3 * torch.randn(shape, generator=random)
        for name, shape in shapes(channels_in, channels_out, processor).items()
    } | changed
    weights = [torch.nn.Parameter(torch.zeros(2))]
    optimiser = torch.optim.Adam(weights)
    weights[0].sum().backward()
    optimiser.step()
    saved = {prefix + name: tensor for name, tensor in tensors.items() if tensor is not None}
    state = {"iters": 7, "epoch": 3, "model_state": saved, "optimizer_state_dict": optimiser.state_dict()}
    torch.save(state, path)
    return tensors


class Released:
    """The released arithmetic on one map, [node, width] and [edge, width], every vector put together as it stands."""

    def __init__(self, tensors, network, processor):
        self.t, self.network, self.processor = tensors, network, processor

    def mlp(self, place, x):
        x = silu(linear(x, self.t[f"{place}.model.0.weight"], self.t[f"{place}.model.0.bias"]))
        x = linear(x, self.t[f"{place}.model.2.weight"], self.t[f"{place}.model.2.bias"])
        return self.norm(f"{place}.model.3", x) if f"{place}.model.3.weight" in self.t else x

    def norm(self, place, x):
        return layer_norm(x, x.shape[-1:], self.t[f"{place}.weight"], self.t[f"{place}.bias"])

    def net(self, place, x):
        x = silu(linear(x, self.t[f"{place}.0.weight"], self.t[f"{place}.0.bias"]))
        return linear(x, self.t[f"{place}.2.weight"], self.t[f"{place}.2.bias"])

    def message(self, place, edges, senders, receivers, graph):
        a = linear(senders, self.t[f"{place}.lin_src"])
        b = linear(receivers, self.t[f"{place}.lin_dst"], self.t[f"{place}.bias"])
        if f"{place}.physics_src.weight" in self.t:
            cosine = cosine_similarity(a, b, dim=-1)[:, None]
            both = [
                silu(self.norm(f"{place}.norm_{end}", linear(
                    torch.cat([a - b, a * b, cosine, own], dim=-1),
                    self.t[f"{place}.physics_{end}.weight"], self.t[f"{place}.physics_{end}.bias"],
                )))
                for end, own in (("src", a), ("dst", b))
            ]  # fmt: skip
            a, b = both
        total = linear(edges, self.t[f"{place}.lin_efeat"]) + a[graph.sender] + b[graph.receiver]
        total = linear(silu(total), self.t[f"{place}.model.1.weight"], self.t[f"{place}.model.1.bias"])
        return self.norm(f"{place}.model.2", total)

    def sum(self, messages, graph):
        nodes = len(graph.degree)
        return torch.stack([messages[graph.receiver == node].sum(0) for node in range(nodes)])

    def edge_block(self, place, edges, nodes, graph):
        said = self.message(f"{place}.edge_mlp", edges, nodes, nodes, graph)
        if self.processor == "oneforecast":
            both = torch.cat([edges, nodes[graph.sender], nodes[graph.receiver]], dim=-1)
            gates = self.net(f"{place}.gate_net", both).sigmoid().reshape(-1, HEADS, 3).mean(1)
            said = said * gates.sum(-1, keepdim=True) / 3
        return said + edges

    def node_block(self, place, edges, nodes, graph):
        if self.processor == "oneforecast":
            logits, heard = self.net(f"{place}.attn_net", edges), []
            for node in range(len(nodes)):
                mine = graph.receiver == node
                heard.append((logits[mine].softmax(0)[:, :, None] * edges[mine][:, None]).sum(0).flatten())
            return self.mlp(f"{place}.node_mlp", torch.cat([torch.stack(heard), nodes], dim=-1)) + nodes
        total = torch.cat([self.sum(edges, graph), nodes], dim=-1)
        mean = torch.cat([self.sum(edges, graph) / graph.degree[:, 0], nodes], dim=-1)
        gamma = self.mlp(f"{place}.gate_net", torch.cat([total, mean], dim=-1))
        return self.mlp(f"{place}.node_mlp", gamma * total + (1 - gamma) * mean) + nodes

    def __call__(self, x):
        inwards, within, outwards = self.network.inwards, self.network.within, self.network.outwards
        cells = self.mlp("encoder_embedder.grid_node_mlp", x.flatten(1).T)
        nodes = self.mlp("encoder_embedder.mesh_node_mlp", self.network.vertices[:, 0])
        edges = self.mlp("encoder_embedder.grid2mesh_edge_mlp", inwards.features[:, 0])
        said = self.message("encoder.edge_mlp", edges, cells, nodes, inwards)
        nodes = nodes + self.mlp("encoder.dst_node_mlp", torch.cat([self.sum(said, inwards), nodes], dim=-1))
        cells = cells + self.mlp("encoder.src_node_mlp", cells)
        edges = self.mlp("encoder_embedder.mesh_edge_mlp", within.features[:, 0])
        for of_edges, of_nodes in blocks():
            edges = self.edge_block(of_edges, edges, nodes, within)
            nodes = self.node_block(of_nodes, edges, nodes, within)
        edges = self.mlp("decoder_embedder.mesh2grid_edge_mlp", outwards.features[:, 0])
        said = self.message("decoder.edge_mlp", edges, nodes, cells, outwards)
        cells = self.mlp("decoder.node_mlp", torch.cat([self.sum(said, outwards), cells], dim=-1)) + cells
        return self.mlp("finale", cells).T.reshape(-1, *x.shape[1:])


def network(geometry, channels_in=3, channels_out=2, processor="neuralom", **settings):
    config = MeshConfig(level=1, width=WIDTH, layers=LAYERS, heads=HEADS, processor=processor, **settings)
    return config.build(channels_in, channels_out, geometry)


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("processor", ["neuralom", "oneforecast"])
def test_a_released_checkpoint_gives_the_released_numbers(tmp_path, processor, prefix):
    tensors = released(tmp_path / "best_ckpt.tar", processor=processor, prefix=prefix)
    geometry = toy.geometry(True, 8, 12)
    module = network(geometry, processor=processor, as_published=True)
    load_network(module, tmp_path / "best_ckpt.tar")
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    for member, written in zip(x, module(x), strict=True):
        assert torch.allclose(written, Released(tensors, module, processor)(member), atol=1e-3)
    assert written.abs().max() > 0.1


def test_names_are_those_of_the_checkpoint_without_prefix_and_bookkeeping(tmp_path):
    tensors = released(tmp_path / "ckpt.tar")
    assert set(read(tmp_path / "ckpt.tar")) == set(tensors) - {"device_buffer"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"finale.model.2.bias": torch.zeros(5)}, r"finale.model.2.bias is \(5,\), and head.second.bias is \(2,\)"),
        ({"finale.model.2.bias": None}, "head.second.bias is not in the checkpoint"),
        ({"extra.weight": torch.zeros(1)}, "extra.weight has no counterpart"),
        ({"processor.processor_layers.99.node_mlp.model.0.bias": torch.zeros(1)}, "layers.99.*no counterpart"),
        ({"processor.processor_layers.0.other": torch.zeros(1)}, "processor_layers.0.other has no counterpart"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, changed, said):
    released(tmp_path / "ckpt.tar", **changed)
    module = network(toy.geometry(True, 8, 12))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(InputError, match=said):
        load_network(module, tmp_path / "ckpt.tar")
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_of_many_that_do_not_fit_some_are_shown_and_all_can_be_asked_for(tmp_path):
    released(tmp_path / "ckpt.tar", processor="oneforecast")
    module = network(toy.geometry(True, 8, 12))
    problems = misfits(module, read(tmp_path / "ckpt.tar"))
    lacking = [problem for problem in problems if "of_sender" in problem]
    assert len(lacking) == 4 * LAYERS
    with pytest.raises(InputError, match=f"and {len(problems) - 4} more"):
        load_network(module, tmp_path / "ckpt.tar")


def model(as_published=True, stages=2, prognostic=("so", "uo", "vo", "thetao"), **settings):
    """A NeuralOM for the published variables at two levels."""
    volume = Channels(volume=prognostic, surface=("zos",), depth=toy.DEPTH)
    task = Task(prognostic=volume, forcing=Channels(surface=("u10", "v10", "t2m", "msl")), anomalies=True)
    statistics = {}
    for name in task.names:
        levels = (task.prognostic if name in volume.names else task.forcing).levels(name)
        for kind in ("mean", "std", "increment_std", "climatology_mean", "climatology_std"):
            statistics[f"{name}_{kind}"] = torch.full((levels,), 0.5)
    net = MeshConfig(level=1, width=WIDTH, layers=LAYERS, as_published=as_published)
    ways = {"writes": "as_published", "corrections": "as_published"} | settings
    config = NeuralOMConfig(stages=(net,) * stages, **ways)
    return config.build(task, toy.geometry(True, 8, 12), statistics)


def test_released_stages_go_into_the_stages_of_a_model_deaf_to_what_they_did_not_read(tmp_path):
    base, residual = tmp_path / "base.tar", tmp_path / "residual.tar"
    first, second = released(base, 9 + 8, 9), released(residual, 9, 9, seed=1)
    neuralom = model()
    load_published(neuralom, base, residual)
    for stage, tensors, read_by in zip(neuralom.stages, (first, second), (17, 9), strict=True):
        weight = stage.net.embed_cells.first.weight
        assert torch.equal(weight[:, :read_by], tensors["encoder_embedder.grid_node_mlp.model.0.weight"])
        assert weight.shape[1] > read_by
        assert not weight[:, read_by:].any()
        assert torch.equal(stage.net.head.second.weight, tensors["finale.model.2.weight"])
    load_published(model(), base)  # the residual network may be trained anew


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"writes": "changes"}, "writes: as_published"),
        ({"as_published": False}, "as_published: true"),
        ({"prognostic": ("thetao", "uo", "vo", "so")}, "in this order"),
        ({"stages": 1}, "2 checkpoints for 1 stages"),
    ],
)
def test_a_model_that_goes_other_ways_is_refused(tmp_path, settings, said):
    for name in ("base.tar", "residual.tar"):
        released(tmp_path / name, 17, 9)
    with pytest.raises(InputError, match=said):
        load_published(model(**settings), tmp_path / "base.tar", tmp_path / "residual.tar")


def test_a_stage_that_is_no_mesh_is_refused(tmp_path):
    released(tmp_path / "base.tar", 17, 9)
    neuralom = model(stages=1)
    task, geometry, buffers = neuralom.task, neuralom.geometry, dict(neuralom.stages[0].named_buffers())
    statistics = {name: value[:, 0, 0] for name, value in buffers.items() if name.endswith(("_mean", "_std"))}
    config = NeuralOMConfig(stages=(UNetConfig(widths=(4,), groups=2),), writes="as_published")
    with pytest.raises(InputError, match="kind mesh"):
        load_published(config.build(task, geometry, statistics), tmp_path / "base.tar")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("nothing of the kind")
    with pytest.raises(InputError, match="not a checkpoint"):
        read(tmp_path / "text.tar")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.tar")
    with pytest.raises(InputError, match=r"model_state.*\['weights'\]"):
        read(tmp_path / "other.tar")
    torch.save({"model_state": Geometry}, tmp_path / "code.tar")  # unpickling it would run code
    with pytest.raises(InputError, match="not a checkpoint that holds tensors alone"):
        read(tmp_path / "code.tar")
