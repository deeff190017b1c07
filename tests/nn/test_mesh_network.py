"""The mesh network: messages edge by edge as the equations have them, land that may be left out, published sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy
from torch.nn.functional import cosine_similarity, silu

from oceanx.nn.mesh import Edges, refined_icosahedron
from oceanx.nn.mesh_blocks import Graph
from oceanx.nn.mesh_network import MeshConfig
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.errors import InputError

KINDS = ("neuralom", "graphcast", "oneforecast")
kinds = pytest.mark.parametrize("kind", KINDS)
WIDTH = 6


def build(geometry, channels_in=3, channels_out=2, trained=True, **settings):
    torch.manual_seed(0)
    module = MeshConfig(**{"level": 1, "width": WIDTH, "layers": 2, **settings}).build(
        channels_in, channels_out, geometry
    )
    if trained:
        toy.train_a_little(module)
    return module


def maps(batch, geometry, channels=3):
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, *geometry.area.shape, generator=random)


def small_graph():
    """Five nodes; the last one hears nothing."""
    senders, receivers = np.array([1, 2, 4, 0, 3, 0, 2]), np.array([0, 0, 0, 1, 1, 2, 3])
    return Graph(Edges(senders, receivers, np.random.default_rng(2).random((7, 4))), 5)


def said(message, e, s, r, as_published=False):
    """One edge's message from its own feature and those of its two ends, one linear layer of one long vector each."""
    a, b = message.sender(s), message.receiver(r)
    if hasattr(message, "of_sender"):

        def compared(side, one, other, own):
            cosine = cosine_similarity(one, other, dim=-1)[..., None]
            return silu(side.norm(side.mix(torch.cat([one - other, one * other, cosine, own]))))

        if as_published:  # both ends' features are of one node
            a, b = (
                compared(message.of_sender, message.sender(s), message.receiver(s), message.sender(s)),
                compared(message.of_receiver, message.sender(r), message.receiver(r), message.receiver(r)),
            )
        else:
            a, b = compared(message.of_sender, a, b, a), compared(message.of_receiver, a, b, b)
    out = message.norm(message.second(silu(message.edge(e) + a + b)))
    if hasattr(message, "first_gate"):
        gates = message.second_gate(silu(message.first_gate(torch.cat([e, s, r]))))
        out = out * gates.sigmoid().mean()
    return out


def mlp(module, x):
    return module.norm(module.second(silu(module.first(x))))


def heard(node, messages, x, as_published=False):
    """What a node becomes of a list of messages."""
    total = sum(messages, torch.zeros(WIDTH))
    if hasattr(node, "gate"):
        mean = total / max(len(messages), 1)
        gamma = mlp(node.gate, torch.cat([total, x, mean, x]))
        gamma = gamma if as_published else gamma.sigmoid()
        total = gamma * total + (1 - gamma) * mean
    if hasattr(node, "second"):
        weights = [node.second(silu(node.first(message))) for message in messages]
        shares = torch.stack(weights).softmax(0) if weights else []
        heads = node.second.out_features
        parts = [
            sum((m * share[h] for m, share in zip(messages, shares, strict=True)), torch.zeros(WIDTH))
            for h in range(heads)
        ]
        return mlp(node.mlp, torch.cat([*parts, x]))
    return mlp(node.mlp, torch.cat([total, x]))


@pytest.mark.parametrize("as_published", [False, True])
@kinds
def test_a_layer_is_what_its_equations_say_edge_by_edge(kind, as_published):
    torch.manual_seed(0)
    layer = MeshConfig(width=WIDTH, processor=kind, heads=3, as_published=as_published).layer()
    toy.train_a_little(layer)
    graph = small_graph()
    edges, nodes = torch.randn(7, 2, WIDTH), torch.randn(5, 2, WIDTH)
    told, become = layer(edges, nodes, graph)
    ends = list(zip(graph.sender.tolist(), graph.receiver.tolist(), strict=True))
    for member in range(2):
        e, x = edges[:, member], nodes[:, member]
        expected = torch.stack([
            e[i] + said(layer.message, e[i], x[s], x[r], as_published) for i, (s, r) in enumerate(ends)
        ])  # fmt: skip
        assert torch.allclose(told[:, member], expected, atol=1e-5)
        for node in range(5):
            messages = [expected[i] for i, (_, r) in enumerate(ends) if r == node]
            assert torch.allclose(
                become[node, member], x[node] + heard(layer.node, messages, x[node], as_published), atol=1e-5
            )


def test_a_message_knows_both_its_ends_but_as_published_compares_each_with_itself():
    graph, settings = small_graph(), {"width": WIDTH}
    for as_published in (False, True):
        torch.manual_seed(0)
        message = MeshConfig(as_published=as_published, **settings).layer().message
        senders, receivers = torch.randn(5, 1, WIDTH), torch.randn(5, 1, WIDTH)
        before = message.ends(senders, receivers, graph)[0]
        after = message.ends(senders, receivers + torch.arange(5)[:, None, None], graph)[0]
        changed = ((before - after).abs() > 1e-6).any(-1)[:, 0]
        which = graph.sender if as_published else graph.receiver
        assert torch.equal(changed, which > 0)


@kinds
def test_kinds_keep_the_promises_of_a_network(kind):
    geometry = toy.geometry(True, 8, 12)
    x = maps(2, geometry).requires_grad_()
    module = build(geometry, processor=kind)
    written = module(x)
    assert torch.allclose(written[1], module(x[1:])[0], atol=1e-5)
    written.square().sum().backward()
    assert all(weight.grad.any() and weight.grad.isfinite().all() for weight in module.parameters())
    assert (x.grad.abs().sum(1) > 0).all()
    assert not build(geometry, processor=kind, trained=False)(x).any()


@kinds
def test_computing_layers_again_changes_nothing(kind):
    geometry, found = toy.geometry(True, 8, 12), []
    for recompute in (False, True):
        module = build(geometry, processor=kind, recompute=recompute)
        written = module(maps(2, geometry))
        written.square().sum().backward()
        found.append((written, [weight.grad for weight in module.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found[0][1], found[1][1], strict=True))


@pytest.mark.parametrize("periodic", [True, False])
def test_a_wet_mesh_neither_hears_nor_tells_land(periodic):
    geometry = toy.geometry(periodic, 9, 14)
    dry = geometry.mask[0] == 0
    module, x = build(geometry, wet=True), maps(2, geometry)
    written = module(x)
    assert not written[..., dry].any()
    assert (written[..., ~dry] != 0).all()
    assert torch.equal(module(torch.where(dry, 1e3, x)), written)
    everywhere = build(geometry)
    assert everywhere(x)[..., dry].all()
    assert not torch.allclose(everywhere(torch.where(dry, 1e3, x)), everywhere(x))
    assert len(module.cells) == int((~dry).sum())


def test_a_regional_grid_is_resolved_by_a_mesh_of_its_own():
    geometry = toy.geometry(False, 12, 16)  # 7° × 10°
    module = build(geometry, level=2, finer=4)
    assert 30 < len(module.vertices) < 300
    x = maps(1, geometry).requires_grad_()
    module(x)[0, 0, 2, 2].backward()
    assert (x.grad != 0).any(1)[0].float().mean() > 0.4  # coarse edges carry far in two layers


def test_the_mesh_follows_the_coordinates_of_the_grid():
    """A map turned over with its latitudes, on cells of the same place, is the same map."""
    lat, lon = torch.linspace(-60, 60, 13), torch.linspace(-180, 180, 25)
    mask = torch.ones(1, 12, 24)
    depth, thickness = torch.tensor([5.0]), torch.tensor([10.0])
    whole = Geometry(lat, lon, depth, thickness, mask, periodic=True)
    begun = Geometry(lat, lon + 90, depth, thickness, mask, periodic=True)
    x = maps(1, whole)
    expected = build(whole, level=2)(x)
    assert torch.allclose(build(begun, level=2)(x.roll(-6, -1)), expected.roll(-6, -1), atol=1e-4)
    assert not torch.allclose(build(whole, level=2)(x.roll(-6, -1)), expected.roll(-6, -1), atol=1e-3)


def test_as_published_the_grid_lies_upside_down_and_one_column_too_far_east():
    depth, thickness, mask = torch.tensor([5.0]), torch.tensor([10.0]), torch.ones(1, 36, 72)
    lat, lon = torch.linspace(-92.5, 87.5, 37), torch.linspace(-182.5, 177.5, 73)
    there = Geometry(lat, lon, depth, thickness, mask, periodic=True)
    mirrored = Geometry(-lat.flip(0), lon + 5, depth, thickness, mask, periodic=True)
    published = build(there, level=2, processor="graphcast", as_published=True)
    right = build(mirrored, level=2, processor="graphcast")
    published.vertices = right.vertices
    x = maps(1, there)
    assert torch.allclose(published(x), right(x.flip(-2)).flip(-2), atol=1e-4)


def test_vertices_know_their_place_but_as_published_in_degrees():
    lat, lon = torch.linspace(-90, 90, 13), torch.linspace(-180, 180, 25)
    globe = Geometry(lat, lon, torch.tensor([5.0]), torch.tensor([10.0]), torch.ones(1, 12, 24), periodic=True)
    x, y, z = refined_icosahedron(0)[0].T
    phi, lam = np.arcsin(z), np.arctan2(y, x)
    for as_published, unit in ((False, 1.0), (True, 180 / np.pi)):
        found = build(globe, level=0, as_published=as_published).vertices[:, 0]
        assert np.allclose(found.T, [np.cos(unit * phi), np.sin(unit * lam), np.cos(unit * lam)], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "channels", "millions"),
    [
        ({}, (101, 93), 55.10),
        ({}, (93, 93), 55.10),
        ({"processor": "oneforecast", "width": 512}, (69, 69), 49.99),
        # Lam et al. state 36.7 M at 474 → 227 channels: 3 % more than one hidden layer an MLP has, counted by hand.
        ({"processor": "graphcast", "width": 512}, (474, 227), 35.58),
    ],
)
def test_published_sizes(settings, channels, millions):
    config = MeshConfig(**settings).model_copy(update={"level": 1})  # no weight depends on the mesh
    geometry = toy.geometry(True, 8, 12)
    with torch.device("meta"):
        module = config.build(*channels, geometry)
    count = sum(weight.numel() for weight in module.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.006)


def test_under_autocast_it_stays_near():
    geometry = toy.geometry(True, 8, 12)
    module, x = build(geometry), maps(1, geometry)
    with torch.autocast("cpu", torch.bfloat16):
        roughly = module(x)
    assert torch.allclose(roughly.float(), module(x), atol=0.1)
    assert not torch.equal(roughly.float(), module(x))


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        ({"level": 9}, "level"),
        ({"region": (0, 0, 10, 10)}, "finer"),
        ({"region": (10, 0, 0, 10), "finer": 1}, "region"),
        ({"processor": "other"}, "processor"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, about):
    with pytest.raises(InputError, match=about):
        MeshConfig.parse(settings)


def test_grids_that_have_no_mesh_are_refused():
    depth, thickness, bounds = torch.tensor([5.0]), torch.tensor([10.0]), torch.linspace(0, 1e5, 9)
    plane = Geometry.plane(bounds, bounds, depth, thickness, torch.ones(1, 8, 8))
    with pytest.raises(InputError, match="sphere"):
        build(plane)
    geometry = Geometry(bounds / 1e4, bounds / 1e4, depth, thickness, torch.zeros(1, 8, 8), periodic=False)
    with pytest.raises(InputError, match="no wet cell"):
        build(geometry, wet=True)
    with pytest.raises(InputError, match="no cell of the grid lies in"):
        build(geometry, finer=1, region=(50, 0, 60, 10))
