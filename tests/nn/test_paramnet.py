"""ParamNet: as many parameters as published, attention where it is said to be, and samples that are dropped whole."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from oceanx.nn.paramnet import Attention, DropPath, ParamNet, ParamNetConfig
from oceanx.vocabulary.errors import InputError

# Channels in and out, embed, latent, spatial layers, latent layers: millions of parameters.
PUBLISHED = {
    (75, 256, 512, 6, 4): 23.99,
    (99, 256, 512, 4, 8): 42.72,
    (42, 128, 256, 6, 2): 3.39,
    (55, 256, 512, 6, 6): 34.45,
    (42, 256, 512, 4, 3): 16.29,
    (104, 256, 512, 4, 8): 42.73,
}


@pytest.mark.parametrize(("shape", "millions"), PUBLISHED.items())
def test_it_has_as_many_parameters_as_published(shape, millions):
    channels, embed, latent, spatial, deep = shape
    config = ParamNetConfig(embed=embed, latent=latent, spatial_layers=spatial, latent_layers=deep)
    with torch.device("meta"):
        module = ParamNet(config, channels, channels, periodic=True)
    assert sum(each.numel() for each in module.parameters()) == pytest.approx(1e6 * millions, abs=1e4)  # two decimals


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_encoders_of_odd_length_find_back_to_the_map(layers):
    config = ParamNetConfig(embed=8, latent=16, spatial_layers=layers, latent_layers=2, heads=2, ratio=2)
    module = ParamNet(config, 3, 2, periodic=False)
    torch.nn.init.ones_(module.head.weight)
    written = module(torch.randn(1, 3, 9, 11))
    assert written.shape == (1, 2, 9, 11)
    assert written.any()


def reaches(attention, rows, columns, at):
    """Which cells the written value of one cell depends on."""
    x = torch.randn(1, 4, rows, columns, requires_grad=True)
    attention(x)[..., at[0], at[1]].sum().backward()
    return x.grad.abs().sum(1)[0] > 0


@pytest.mark.parametrize("at", [(0, 0), (5, 7), (7, 11)])
def test_half_of_the_heads_look_around_and_half_across_the_map(at):
    torch.manual_seed(0)
    expected = torch.zeros(8, 12, dtype=torch.bool)
    row, column = at[0] // 2 * 2, at[1] // 2 * 2
    expected[row : row + 2, column : column + 2] = True  # its window of 2 × 2
    expected[at[0] % 4 :: 4, at[1] % 6 :: 6] = True  # the grid of 2 × 2, every fourth row and sixth column
    assert torch.equal(reaches(Attention(4, 2, 2, periodic=False), 8, 12, at), expected)


def test_one_window_over_the_whole_map_is_plain_attention():
    torch.manual_seed(0)
    attention, x = Attention(8, 2, 4, periodic=False), torch.randn(3, 8, 4, 4)
    query, key, value = attention.read(x).reshape(3, 3, 2, 4, 16).transpose(-1, -2).unbind(1)
    seen = scaled_dot_product_attention(query, key, value).transpose(-1, -2).reshape(3, 8, 4, 4)
    assert torch.allclose(attention(x), attention.write(seen), atol=1e-6)


def test_dropped_samples_say_nothing_and_the_others_make_up_for_it():
    torch.manual_seed(0)
    drop, x = DropPath(0.25).train(), torch.ones(4000, 2, 1, 1)
    kept = drop(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert kept.mean() == pytest.approx(1.0, abs=0.03)  # 2.3 standard errors of 0.013: of this seed
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize("values", [{"heads": 3}, {"heads": 16, "latent": 24}, {"embed": 12}, {"drop_path": 1}])
def test_widths_that_do_not_fit_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        ParamNetConfig.parse(values)
