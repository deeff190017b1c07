"""PastNet: a codebook that chooses the nearest word and learns, patches written where they were read, its size."""

from __future__ import annotations

import pytest
import torch
import toy_nets
import toy_tensors as toy
from torch.nn.functional import layer_norm

from oceanx.nn.pastnet import Codebook, FourierFilter, PastNetConfig
from oceanx.vocabulary.errors import InputError

SMALL = toy_nets.SMALL["pastnet"]


def test_as_many_parameters_as_published():
    """1.3 % fewer: the table of positions (0.16 M at 480 × 600 cells), half of the codebook's two tables, one decoder
    of patches in place of three layers."""
    with torch.device("meta"):
        net = PastNetConfig().build(7, 1, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(15.6, rel=0.02)


def test_in_place_of_a_vector_stands_the_nearest_word():
    torch.manual_seed(0)
    book, x = Codebook(6, 4), 5 * torch.randn(2, 4, 3, 5)
    vectors = layer_norm(x.movedim(1, -1), (4,)).flatten(0, -2)
    nearest = torch.cdist(vectors, book.words).argmin(-1)
    assert len(nearest.unique()) > 1
    assert torch.allclose(book(x).movedim(1, -1).flatten(0, -2), book.words[nearest], atol=1e-6)


def test_word_and_vector_hear_the_same_gradient():
    torch.manual_seed(0)
    book, x = Codebook(6, 4), torch.randn(2, 4, 3, 5)
    vectors = layer_norm(x.movedim(1, -1), (4,)).requires_grad_()
    heard = torch.randn(2, 3, 5, 4)
    straight = torch.autograd.grad(layer_norm(vectors, (4,)), vectors, heard)[0]
    into = vectors.detach().movedim(-1, 1).requires_grad_()
    (book(into) * heard.movedim(-1, 1)).sum().backward()
    assert torch.allclose(into.grad.movedim(1, -1), straight, atol=1e-6)

    words = torch.zeros(6, 4).index_add(0, book.nearest(layer_norm(vectors, (4,))).flatten(), heard.flatten(0, -2))
    assert torch.allclose(book.words.grad, words, atol=1e-6)


def test_the_codebook_learns_by_descent():
    """A target that is a word's distance away from every word is reached by moving words."""
    torch.manual_seed(0)
    book, x, target = Codebook(3, 4), torch.randn(1, 4, 6, 6), torch.randn(1, 4, 1, 1)
    descent = torch.optim.SGD(book.parameters(), lr=1.0)
    losses = []
    for _ in range(30):
        loss = (book(x) - target).square().mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize(("codes", "smooth"), [(8, False), (None, True)])
def test_with_a_codebook_a_small_change_is_none_or_a_word(codes, smooth):
    """Of what goes through the bottleneck: F is silenced."""
    torch.manual_seed(0)
    net = PastNetConfig.parse(SMALL.dump() | {"codes": codes}).build(3, 2, toy.geometry(True)).eval()
    toy.train_a_little(net)
    for parameter in net.fourier.write.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 3, 8, 12)
    assert (net(x) != net(x + 1e-4)).any() == smooth


def test_a_patch_is_written_where_it_was_read():
    """With nothing mixed in wave space, a cell reaches its own patch and no other, whatever the map's size."""
    f = FourierFilter(PastNetConfig.parse(SMALL.dump() | {"patch": 3}), 1, 1, periodic=False)
    toy.train_a_little(f)
    torch.nn.init.zeros_(f.blocks[0].second)
    x = torch.randn(1, 1, 8, 10)
    moved = x.clone()
    moved[..., 4, 9] += 1.0
    reached = torch.zeros(8, 10, dtype=torch.bool)
    reached[3:6, 9:] = True
    assert torch.equal((f(x) != f(moved))[0, 0], reached)


def test_in_wave_space_patches_far_apart_meet():
    f = FourierFilter(SMALL, 1, 1, periodic=True).double()
    toy.train_a_little(f)
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    moved = x.clone()
    moved[..., 0, 0] += 1.0
    assert (f(x) != f(moved)).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"groups": 3}, "does not"),
        ({"units": 12}, "does not divide"),
        ({"fourier": 10}, "fourier_blocks"),
        ({"kernels": [2]}, "odd"),
        ({"codes": 0}, "codes"),
    ],
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        PastNetConfig.parse(values)
