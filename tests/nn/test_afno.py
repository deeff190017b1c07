"""AFNO: the published size, the mixing of waves done once more by hand, positions that are latitude's alone."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.afno import AFNOConfig, Filter
from oceanx.vocabulary.errors import InputError

SMALL = AFNOConfig(patch=2, width=8, depth=2, blocks=2, places=(3, 1))


def built(config=SMALL, geometry=None):
    torch.manual_seed(0)
    net = config.build(3, 2, geometry or toy.geometry(periodic=True))
    toy.train_a_little(net)
    return net


def count(config, *channels):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in config.build(*channels, toy.geometry()).parameters())


def test_as_many_parameters_as_the_published_drawing_has():
    """FourCastNet at 360 × 720 cells, 101 → 93 channels: patch 4, 256 features, 4 layers of 16 blocks."""
    embedding, places, head = 101 * 16 * 256 + 256, 90 * 180 * 256, 256 * 93 * 16
    mixing = 2 * (16 * 16 * 16 + 16 * 16) * 2  # two layers of 16 complex matrices and biases
    layer = 2 * 2 * 256 + mixing + (256 * 1024 + 1024) + (1024 * 256 + 256)
    assert count(AFNOConfig(places=(90, 180)), 101, 93) == embedding + places + 4 * layer + head
    assert count(AFNOConfig(), 101, 93) == embedding + 90 * 256 + 4 * layer + head


@pytest.mark.parametrize("periodic", [True, False])
def test_waves_are_mixed_as_the_equation_says(periodic):
    torch.manual_seed(0)
    layer = Filter(AFNOConfig(width=6, blocks=2, shrink=0.05, margin=0.5), periodic).double()
    toy.train_a_little(layer, seed=3)
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    longer = torch.zeros(1, 6, 6 if periodic else 9, 6, dtype=torch.float64)
    longer[:, :4, :6] = x
    z = torch.fft.rfft2(longer, dim=(1, 2), norm="ortho")

    def relu(z):
        return torch.complex(z.real.clamp_min(0), z.imag.clamp_min(0))

    def shrunk(part):
        return part.sign() * (part.abs() - 0.05).clamp_min(0)

    written = torch.zeros_like(z)
    for block in range(2):
        own = slice(3 * block, 3 * block + 3)
        (w1, b1), (w2, b2) = (
            (torch.view_as_complex(part.weight.detach())[block], torch.view_as_complex(part.bias.detach())[block])
            for part in (layer.first, layer.second)
        )
        mixed = relu(z[..., own] @ w1 + b1) @ w2 + b2
        written[..., own] = torch.complex(shrunk(mixed.real), shrunk(mixed.imag))
    expected = torch.fft.irfft2(written, s=longer.shape[1:3], dim=(1, 2), norm="ortho")[:, :4, :6]
    assert expected.abs().max() > 0.01
    assert torch.allclose(layer(x), expected)


def test_positions_are_of_latitude_alone_unless_the_table_has_columns():
    tokens = torch.zeros(1, 8, 4, 6)
    latitude, published = built()._positions(tokens), built(SMALL.model_copy(update={"places": (3, 5)}))
    assert latitude.shape == (1, 8, 4, 1)
    assert published._positions(tokens).shape == (1, 8, 4, 6)
    # The table's ends are the map's, whatever lies between.
    assert torch.allclose(latitude[..., 0, 0], built().places[..., 0, 0])
    assert torch.allclose(latitude[..., -1, 0], built().places[..., -1, 0])


def test_its_weights_fit_any_grid():
    small, large = built(), SMALL.build(3, 2, toy.geometry(True, 12, 20))
    large.load_state_dict(small.state_dict())
    assert large(torch.randn(1, 3, 12, 20)).shape == (1, 2, 12, 20)


def test_under_bfloat16_waves_keep_single_precision():
    net, x = built(), torch.randn(2, 3, 7, 10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        written = net(x)
    assert written.dtype == torch.bfloat16
    assert (written - net(x)).abs().max() < 0.05 * net(x).abs().max()


def test_blocks_that_do_not_divide_the_width_are_refused():
    with pytest.raises(InputError, match="does not divide"):
        AFNOConfig.parse({"width": 20, "blocks": 16})
