"""Encoder, attention, decoder: as many numbers as the drawing has, and every coarse cell looks at every other."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.encoder_attention import Attention, EncoderAttentionConfig, Evolution
from oceanx.vocabulary.errors import InputError

TINY = {"widths": (4, 8, 8), "blocks": 2, "heads": 2, "ratio": 2, "groups": 2}


def build(periodic=False, **settings):
    torch.manual_seed(0)
    module = EncoderAttentionConfig.parse({**TINY, "dropout": 0.0, **settings}).build(3, 2, toy.geometry(periodic))
    toy.train_a_little(module)
    return module


def maps(*size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def numbers(widths, blocks, ratio, channels_in, channels_out):
    """Counted on paper."""

    def conv(a, b, size=3, norm=2):
        return size * size * a * b + b + norm * b

    scales = list(pairwise(widths))
    c = widths[-1]
    block = (9 * c + c) + 2 * (2 * c) + (3 * c * c + 3 * c) + (c * c + c) + (2 * ratio * c * c + ratio * c + c)
    ends = conv(channels_in, widths[0]) + conv(2 * widths[0], widths[0]) + conv(widths[0], channels_out, 1, norm=0)
    return ends + 2 * sum(9 * a * b for a, b in scales) + 3 * sum(a + b for a, b in scales) + blocks * block


@pytest.mark.parametrize("settings", [TINY, {}])
def test_as_many_parameters_as_the_drawing_has(settings):
    config = EncoderAttentionConfig.parse(settings)
    module = config.build(330, 93, toy.geometry())
    drawn = numbers(config.widths, config.blocks, config.ratio, 330, 93)
    assert sum(parameter.numel() for parameter in module.parameters()) == drawn


def test_attention_is_a_mean_weighted_by_likeness():
    torch.manual_seed(0)
    module, tokens = Attention(6, heads=2), torch.randn(1, 5, 6)
    asked, known, told = (module.read.weight @ tokens[0].T + module.read.bias[:, None]).view(3, 2, 3, 5)
    found = torch.zeros(2, 3, 5)
    for head in range(2):
        for i in range(5):
            likeness = torch.stack([asked[head, :, i] @ known[head, :, j] / 3**0.5 for j in range(5)]).exp()
            found[head, :, i] = sum(told[head, :, j] * likeness[j] / likeness.sum() for j in range(5))
    expected = module.write.weight @ found.view(6, 5) + module.write.bias[:, None]
    assert torch.allclose(module(tokens)[0], expected.T, atol=1e-6)


def test_without_its_neighbours_a_token_does_not_know_where_it_is():
    torch.manual_seed(0)
    block, x = Evolution(8, 2, 2, 0.0, periodic=False), torch.randn(1, 8, 3, 4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))

    def shuffled(field):
        return field.flatten(2)[..., order].view(field.shape)

    assert not torch.allclose(block(shuffled(x)), shuffled(block(x)), atol=1e-3)
    with torch.no_grad():
        for parameter in block.position.parameters():
            parameter.zero_()
    assert torch.allclose(block(shuffled(x)), shuffled(block(x)), atol=1e-5)


def test_one_corner_hears_the_other():
    x = maps(24, 48).requires_grad_()
    build()(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0, :, -4:, -4:].abs().sum(0) > 0).all()


def test_a_map_of_the_published_size_has_450_tokens():
    module, seen = build(widths=(4, 4, 8, 8)), []
    module.blocks[0].attention.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    module(maps(120, 240))
    assert seen == [(1, 450, 8)]


def test_dropout_is_for_training():
    module, x = build(dropout=0.5), maps(8, 12)
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))
    assert torch.equal(module(x), build(dropout=0.0)(x))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"widths": [8, 10]}, "does not divide"),
        ({"widths": [8, 16], "heads": 3}, "`heads` = 3"),
        ({"widths": []}, "widths"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_settings_that_cannot_be_built_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        EncoderAttentionConfig.parse(values)
