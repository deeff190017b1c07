"""U-Net: silent while untrained, any map size, no seam where longitude goes round."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy
from toy_tensors import train_a_little

from oceanx.nn.unet import UNet, UNetConfig
from oceanx.vocabulary.errors import InputError

WIDTHS = (4, 8, 16)
FACTOR = 2 ** (len(WIDTHS) - 1)  # the coarsest grid's spacing


def net(periodic=False, widths=WIDTHS):
    torch.manual_seed(0)
    return UNet(3, 2, widths, groups=2, periodic=periodic)


def trained(periodic=False, widths=WIDTHS):
    module = net(periodic, widths)
    train_a_little(module)
    return module


def maps(batch, *size):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (5, 4), (1, 1), (2, 3), (1, 17)])
def test_maps_of_any_size_keep_it(periodic, size):
    written = trained(periodic)(maps(2, *size))
    assert written.shape == (2, 2, *size)
    assert written.isfinite().all()


@pytest.mark.parametrize("periodic", [True, False])
def test_untrained_it_says_exactly_nothing(periodic):
    assert not net(periodic)(100 * maps(2, 9, 11)).any()


def test_as_many_parameters_as_the_drawing_has():
    def conv(a, b, size=3):
        return size * size * a * b + b

    def block(a, b):
        return conv(a, b) + 2 * b + conv(b, b)

    drawn = block(3, 4) + block(4, 8) + block(8, 16) + block(16 + 8, 8) + block(8 + 4, 4) + conv(4, 2, size=1)
    assert sum(parameter.numel() for parameter in net().parameters()) == drawn


@pytest.mark.parametrize("shift", [FACTOR, 3 * FACTOR])
def test_where_longitude_goes_round_it_has_no_beginning(shift):
    x, module = maps(1, 9, 6 * FACTOR), trained(periodic=True).double()
    turned = module(x.double().roll(shift, -1))
    assert torch.allclose(turned, module(x.double()).roll(shift, -1), atol=1e-12)


def test_where_it_does_not_the_walls_are_felt():
    x, module = maps(1, 9, 6 * FACTOR), trained(periodic=False)
    assert not torch.allclose(module(x.roll(FACTOR, -1)), module(x).roll(FACTOR, -1), atol=1e-3)


def test_maps_of_a_batch_do_not_see_each_other():
    x, module = maps(3, 8, 8), trained()
    together = module(x)
    for i in range(3):
        assert torch.allclose(module(x[i : i + 1])[0], together[i], atol=1e-5)


def test_gradients_reach_every_parameter_and_every_input():
    x, module = maps(2, 9, 12).requires_grad_(), trained()
    module(x).square().sum().backward()
    for parameter in (*module.parameters(), x):
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_a_single_scale_is_a_plain_stack_of_convolutions():
    assert trained(widths=(4,))(maps(1, 5, 6)).shape == (1, 2, 5, 6)


def test_the_config_builds_what_it_says():
    built = UNetConfig(widths=(8, 16), groups=8).build(5, 3, toy.geometry(periodic=True))
    assert built(torch.zeros(1, 5, 4, 4)).shape == (1, 3, 4, 4)
    assert built.periodic


@pytest.mark.parametrize(
    ("values", "said"),
    [({"widths": [8, 10]}, "does not divide"), ({"widths": []}, "widths"), ({"widths": [0]}, "widths")],
)
def test_widths_that_cannot_be_built_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        UNetConfig.parse(values)
