"""MultiConv: the published number of weights, frames that share their encoder, and how far a block sees."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.layers import wrap
from oceanx.nn.multiconv import Block, MultiConvConfig
from oceanx.vocabulary.errors import InputError

TINY = MultiConvConfig(width=4, hidden=8, blocks=3, expansion=2)


def build(config=TINY, channels=(3, 2), size=(8, 12)):
    torch.manual_seed(0)
    module = config.build(*channels, toy.geometry(True, *size))
    toy.train_a_little(module)
    return module.eval()


def idle(channels):
    """Weights of the published attention that nothing calls: a second one without its gate, and a squeeze."""
    second = (5 * 5 + 1) * channels + (7 * 7 + 1) * channels + (channels + 1) * channels
    return second + 2 * channels * (channels // max(channels // 16, 4))


@pytest.mark.parametrize(("frames", "published"), [(1, 40.2e6), (10, 49.5e6)])
def test_it_has_the_published_weights_but_those_that_nothing_calls(frames, published):
    with torch.device("meta"):
        module = MultiConvConfig(frames=frames).build(2 * frames, 2 * frames, toy.geometry(True))
    count = sum(weights.numel() for weights in module.parameters())
    assert count + idle(frames * 64) + 7 * idle(512) == pytest.approx(published, rel=2e-3)


def test_frames_are_encoded_alike_and_see_each_other_in_the_middle():
    """With the middle silenced, each frame is what one frame alone would be; with it, each hears all."""
    together, x = build(TINY.model_copy(update={"frames": 3}), (6, 3)), torch.randn(2, 6, 8, 12)
    alone = build(channels=(2, 1))
    for part in ("encoder", "decoder", "head"):
        getattr(alone, part).load_state_dict(getattr(together, part).state_dict())
    heard = together(x)
    changed = together(torch.cat([x[:, :4], torch.randn(2, 2, 8, 12)], dim=1))
    assert all((changed[:, n] - heard[:, n]).abs().max() > 1e-6 for n in range(3))
    for module in (together, alone):
        module.middle = torch.nn.Identity()
    frames = torch.cat([alone(x[:, 2 * n : 2 * n + 2]) for n in range(3)], dim=1)
    assert torch.allclose(together(x), frames, atol=1e-6)


def test_a_block_sees_eleven_cells_around_it_and_the_mixture_one_more():
    torch.manual_seed(0)
    block = Block(4, 2, groups=2, periodic=False).double()
    # Norms hear the whole map: without them, what is left are the kernels.
    block.attend[0], block.mix[0] = torch.nn.Identity(), torch.nn.Identity()
    x = torch.randn(1, 4, 31, 31, dtype=torch.float64, requires_grad=True)
    block(x)[0, :, 15, 15].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    columns = x.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 27, 3, 27)


@pytest.mark.parametrize("width", [1, 3, 4, 9, 17])
def test_a_kernel_wider_than_the_map_goes_round_more_than_once(width):
    x = torch.arange(8.0).reshape(1, 1, 2, 4)
    assert torch.equal(wrap(x, width), x[..., torch.arange(-width, 4 + width) % 4])


@pytest.mark.parametrize(
    ("values", "said"),
    [({"width": 7}, "does not divide `width` = 7"), ({"hidden": 9}, "`hidden` = 9"), ({"blocks": 1}, "blocks")],
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        MultiConvConfig.parse(values)


def test_channels_that_are_no_frames_are_refused():
    with pytest.raises(InputError, match="5 channels are not 2 frames"):
        MultiConvConfig(frames=2).build(4, 5, toy.geometry(True))
