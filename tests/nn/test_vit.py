"""ViT: DiT with its constants taken as constants, and positions that only tell tokens how far apart they are."""

from __future__ import annotations

import math

import pytest
import torch
import toy_nets
import toy_tensors as toy
from torch import nn

from oceanx.nn.vit import Block, ViTConfig, rotary_angles, rotated, sine_table
from oceanx.vocabulary.errors import InputError

SMALL = toy_nets.SMALL["vit"]


def built(config=SMALL, periodic=True):
    torch.manual_seed(0)
    net = config.build(3, 2, toy.geometry(periodic))
    toy.train_a_little(net)
    return net


def test_as_many_parameters_as_published_but_for_what_only_makes_constants():
    config = ViTConfig()
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in config.build(99, 93, toy.geometry()).parameters())
    width, depth = config.width, config.depth
    time = 2 * (256 * width + width)  # the embedding of a diffusion time that never changes
    made = depth * (width * 6 * width + 6 * width) + (width * 2 * width + 2 * width)
    constants = depth * 6 * width + 2 * width
    assert (parameters - constants + time + made) / 1e6 == pytest.approx(11.1, abs=0.05)


def test_a_block_is_that_of_dit_told_one_time_forever():
    torch.manual_seed(0)
    block, x = Block(SMALL).double(), torch.randn(2, 5, 16, dtype=torch.float64)
    shift, scale, gate, second_shift, second_scale, second_gate = torch.randn(6, 16, dtype=torch.float64)
    with torch.no_grad():
        block.norm.weight.copy_(1 + scale), block.norm.bias.copy_(shift), block.gate.copy_(gate)
        block.second_norm.weight.copy_(1 + second_scale), block.second_norm.bias.copy_(second_shift)
        block.second_gate.copy_(second_gate)
    attention = nn.MultiheadAttention(16, 2, batch_first=True).double()
    attention.in_proj_weight, attention.in_proj_bias = block.ask.weight, block.ask.bias
    attention.out_proj.weight, attention.out_proj.bias = block.join.weight, block.join.bias

    def normal(x):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()

    seen = normal(x) * (1 + scale) + shift
    y = x + gate * attention(seen, seen, seen)[0]
    y = y + second_gate * block.perceptron(normal(y) * (1 + second_scale) + second_shift)
    assert torch.allclose(block(x, None), y)


@pytest.mark.parametrize("periodic", [True, False])
def test_what_a_token_sees_of_another_depends_on_how_far_apart_they_are(periodic):
    torch.manual_seed(0)
    rows, columns = 4, 6
    angles = rotary_angles(rows, columns, 8, periodic)
    q, k = (torch.randn(8, dtype=torch.float64).expand(1, 1, rows * columns, 8) for _ in range(2))
    q, k = (rotated(x, angles.cos(), angles.sin()) for x in (q, k))
    seen = torch.einsum("tf,sf->ts", q[0, 0], k[0, 0]).reshape(rows, columns, rows, columns)
    assert torch.allclose(seen[:-1, :-1, :-1, :-1], seen[1:, 1:, 1:, 1:])
    # One step east of the last column is the first, where longitude goes round, and nowhere else.
    assert torch.allclose(seen[0, -1, 0, 0], seen[0, 0, 0, 1]) is periodic
    assert len({round(float(value), 9) for value in seen[1, 2].flatten()}) == rows * columns


def test_longitude_has_a_beginning_only_as_published():
    x = torch.randn(1, 3, 8, 12, dtype=torch.float64)
    ours, published = built().double(), built(SMALL.model_copy(update={"positions": "as_published"})).double()
    assert torch.allclose(ours(x.roll(2, -1)), ours(x).roll(2, -1), atol=1e-12)
    assert not torch.allclose(published(x.roll(2, -1)), published(x).roll(2, -1), atol=1e-3)


def test_the_published_table_is_sines_of_column_and_of_row():
    table = sine_table(3, 4, 8)
    for row in range(3):
        for column in range(4):
            expected = [
                bent(place * rate)
                for place in (column, row)
                for bent in (math.sin, math.cos)
                for rate in (1.0, 1 / 100)
            ]
            assert torch.allclose(table[4 * row + column], torch.tensor(expected))


def test_its_weights_fit_any_grid():
    small, large = built(), SMALL.build(3, 2, toy.geometry(True, 12, 20))
    large.load_state_dict(small.state_dict())
    assert large(torch.randn(1, 3, 12, 20)).shape == (1, 2, 12, 20)


def test_a_token_far_away_is_heard():
    """Convolutions here reach a few cells; attention reaches everywhere."""
    net, x = built(periodic=False).double(), torch.randn(1, 3, 8, 64, dtype=torch.float64)
    y = x.clone()
    y[..., 0, 0] += 100.0
    assert (net(y) - net(x))[..., -1, -1].abs().max() > 1e-6


@pytest.mark.parametrize(
    ("values", "said"), [({"width": 24, "heads": 4}, "multiple of"), ({"channels": 3}, "odd"), ({"depth": 0}, "depth")]
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        ViTConfig.parse(values)
