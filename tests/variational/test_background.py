"""Covariances as plain values: what they build in a Setting, and what they refuse."""

from __future__ import annotations

import pytest
import torch
import toy_errors

from oceanx.tensors.state import Increment
from oceanx.variational.background import BackgroundConfig, HybridConfig, SampledConfig, StaticConfig
from oceanx.variational.balance import Balance, BalanceConfig
from oceanx.variational.covariance import flattened
from oceanx.variational.diffusion import Diffusion, scale
from oceanx.variational.sampled import Sampled
from oceanx.variational.univariate import Univariate
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

G = toy_errors.geometry()
SETTING = toy_errors.setting(G, samples=12)
WITHOUT = toy_errors.setting(G)


class Holder(Config):
    background: BackgroundConfig = StaticConfig()


@pytest.mark.parametrize("kind", ["static", "samples", "hybrid"])
def test_each_is_known_by_its_kind_and_survives_yaml(kind, tmp_path):
    held = Holder.parse({"background": {"kind": kind}})
    held.save(tmp_path / "held.yaml")
    assert Holder.load(tmp_path / "held.yaml") == held
    assert held.background.build(SETTING).shapes.keys() == SETTING.spread.keys()


def test_a_static_one_has_the_spread_and_the_lengths_of_its_setting():
    b = StaticConfig(spread=1.5, length=2.0, height=0.5).build(SETTING)
    spread = 1.5 * SETTING.spread["thetao"]
    torch.testing.assert_close(b.variance()["thetao"][0], spread**2, rtol=1e-12, atol=0)
    by_hand = Diffusion(G, 3, scale(4e5, 4, 2), scale(20.0, 4, 1))
    x = Increment(dict(toy_errors.noise(G, 2).only(("thetao",))))
    torch.testing.assert_close(b(x)["thetao"], spread * by_hand(spread * x["thetao"]), rtol=1e-12, atol=1e-14)


def test_a_factor_may_be_of_one_variable_alone():
    b = StaticConfig(spread={"zos": 3.0}, length={"zos": 2.0}, height={"uo": 0.5}).build(SETTING)
    alike = StaticConfig().build(SETTING)
    torch.testing.assert_close(b.spread["zos"], 3 * alike.spread["zos"], rtol=0, atol=0)
    torch.testing.assert_close(b.spread["uo"], alike.spread["uo"], rtol=0, atol=0)
    x = Increment(dict(toy_errors.noise(G, 2).items()))
    torch.testing.assert_close(b(x)["thetao"], alike(x)["thetao"], rtol=0, atol=0)
    wider = StaticConfig(spread=3.0, length=2.0).build(SETTING)
    torch.testing.assert_close(b(x)["zos"], wider(x)["zos"], rtol=1e-12, atol=1e-15)
    flatter = StaticConfig(height=0.5).build(SETTING)
    torch.testing.assert_close(b(x)["uo"], flatter(x)["uo"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("word", ["spread", "length", "height"])
def test_a_factor_of_a_variable_that_is_not_there_is_refused(word):
    with pytest.raises(InputError, match=rf"{word}: \['sst'\] are not among"):
        StaticConfig(**{word: {"sst": 2.0}}).build(SETTING)


def test_variables_of_one_length_share_their_correlation():
    b = StaticConfig().build(SETTING)
    assert b.correlations["thetao"] is b.correlations["uo"]
    assert b.correlations["thetao"] is not b.correlations["zos"]


def test_samples_that_are_not_localised_are_as_they_are():
    found = toy_errors.dense(SampledConfig(length=None, spread=0.5).build(SETTING))
    torch.testing.assert_close(found, 0.25 * toy_errors.dense(Sampled(SETTING.samples)), rtol=1e-12, atol=1e-15)


def test_without_a_height_a_column_stays_related():
    names = ("thetao", "zos")
    b = SampledConfig(length=300.0).build(SETTING)
    found, bare = toy_errors.dense(b), toy_errors.dense(Sampled(SETTING.samples))
    cell = 3 * 7 + 1
    column = torch.tensor([cell, 42 + cell])
    torch.testing.assert_close(found[column][:, column], bare[column][:, column], rtol=1e-3, atol=0)
    low = toy_errors.dense(SampledConfig(length=300.0, height=15.0).build(SETTING))
    assert low[cell, 42 + cell].abs() < 0.5 * bare[cell, 42 + cell].abs()
    assert names[0] in b.shapes


def test_a_hybrid_weighs_its_parts():
    weight = 0.3
    b = HybridConfig(weight=weight).build(SETTING)
    parts = StaticConfig().build(SETTING), SampledConfig().build(SETTING)
    expected = (1 - weight) * toy_errors.dense(parts[0]) + weight * toy_errors.dense(parts[1])
    torch.testing.assert_close(toy_errors.dense(b), expected, rtol=0, atol=1e-13)
    assert isinstance(HybridConfig(weight=0.0).build(WITHOUT).parts[0].inner, Univariate)


def test_with_balance_it_waits_for_a_background():
    b = StaticConfig(balance=BalanceConfig(mixed_layer=True)).build(SETTING)
    background = toy_errors.background(G)
    told = b.about(background)
    assert toy_errors.dense(told)[0:126, -42:].abs().max() > 0  # temperature and sea surface
    k = Balance(background, G, BalanceConfig(mixed_layer=True))
    left = k.inverse(Increment(dict(SETTING.samples)))
    torch.testing.assert_close(told.unbalanced.spread["zos"], left["zos"].std(0), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(told.unbalanced.spread["so"], SETTING.spread["so"], rtol=1e-12, atol=0)


def test_a_share_of_the_spread_can_be_left_unbalanced():
    b = StaticConfig(balance=BalanceConfig(unbalanced=0.25)).build(WITHOUT)
    assert torch.equal(b.unbalanced.spread["uo"], 0.25 * WITHOUT.spread["uo"])
    assert torch.equal(b.unbalanced.spread["thetao"], WITHOUT.spread["thetao"])


def test_a_hybrid_tells_its_parts_of_the_background():
    b = HybridConfig(static=StaticConfig(balance=BalanceConfig(mixed_layer=True))).build(SETTING)
    told = b.about(toy_errors.background(G))
    v = torch.randn(2, b.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = told.root(v)
    ours = flattened(x, told).square().sum()
    torch.testing.assert_close(ours, (told.adjoint(x) * v).sum(), rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    ("config", "said"),
    [(SampledConfig(), "samples"), (HybridConfig(), "samples"), (StaticConfig(balance=BalanceConfig()), "unbalanced")],
)
def test_what_a_setting_lacks_is_said(config, said):
    with pytest.raises(InputError, match=said):
        config.build(WITHOUT)


@pytest.mark.parametrize("config", [StaticConfig, SampledConfig])
@pytest.mark.parametrize("steps", [0, 3])
def test_an_odd_number_of_steps_is_refused(config, steps):
    with pytest.raises(InputError, match="even"):
        config.parse({"steps": steps})


def test_too_few_steps_for_a_plane_are_refused():
    for config in (StaticConfig(steps=2), SampledConfig(steps=2)):
        with pytest.raises(InputError, match="expected 4"):
            config.build(SETTING)
