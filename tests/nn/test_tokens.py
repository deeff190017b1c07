"""Tokens: attention as it is written on paper, and heads that each see every token."""

from __future__ import annotations

import pytest
import torch

from oceanx.nn.tokens import attend, perceptron, split_heads


def test_attention_is_a_weighted_mean_of_values():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 5, 12, dtype=torch.float64) for _ in range(3))
    found = attend(*(split_heads(x, 3) for x in (q, k, v)))
    for head in range(3):
        own = slice(4 * head, 4 * head + 4)
        likeness = torch.einsum("btf,bsf->bts", q[..., own], k[..., own]) / 2  # √4 features
        weights = likeness.exp() / likeness.exp().sum(-1, keepdim=True)
        assert torch.allclose(found[..., own], torch.einsum("bts,bsf->btf", weights, v[..., own]))


def test_heads_take_apart_features_and_never_tokens():
    x = torch.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    assert torch.equal(heads[1, 2, :, 0], x[1, :, 4])


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_a_perceptron_is_so_many_times_as_wide_inside(ratio):
    parameters = sum(parameter.numel() for parameter in perceptron(6, ratio).parameters())
    assert parameters == 2 * 6 * int(6 * ratio) + int(6 * ratio) + 6
