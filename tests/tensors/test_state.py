"""The algebra of mechanics: what may be added to what, and channels in and out of one tensor."""

from __future__ import annotations

import operator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.state import Increment, State, Tendency, split, stack
from oceanx.vocabulary.channels import Channels


def full(value, levels=1):
    return torch.full((1, levels, 2, 3), float(value))


def same(a, b):
    return type(a) is type(b) and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_state_and_an_increment_make_a_state():
    state = State({"thetao": full(10.0), "zos": full(1.0)})
    assert same(state + Increment({"zos": full(0.5)}), State({"thetao": full(10.0), "zos": full(1.5)}))


def test_two_states_differ_by_an_increment():
    later, now = State({"zos": full(3.0)}), State({"zos": full(1.0)})
    assert same(later - now, Increment({"zos": full(2.0)}))
    assert same(now + (later - now), later)


def test_a_tendency_over_time_is_an_increment():
    assert same(Tendency({"zos": full(2.0)}).over(86400.0), Increment({"zos": full(172800.0)}))


def test_what_is_missing_counts_as_zero_in_sums():
    a, b = {"zos": full(1.0), "so": full(2.0)}, {"so": full(3.0), "uo": full(4.0)}
    for kind in (Tendency, Increment):
        assert same(kind(a) + kind(b), kind({"zos": full(1.0), "so": full(5.0), "uo": full(4.0)}))
    assert same(Tendency(a) - Tendency(b), Tendency({"zos": full(1.0), "so": full(-1.0), "uo": full(-4.0)}))
    assert same(2.0 * Tendency(a), Tendency({"zos": full(2.0), "so": full(4.0)}))
    assert same(Increment(a) * 2.0, Increment({"zos": full(2.0), "so": full(4.0)}))


KINDS = {kind.__name__: kind({"zos": full(1.0)}) for kind in (State, Increment, Tendency)}
ALLOWED = {
    operator.add: {("State", "Increment"), ("Increment", "Increment"), ("Tendency", "Tendency")},
    operator.sub: {("State", "State"), ("Tendency", "Tendency")},
}


@pytest.mark.parametrize("combine", ALLOWED)
@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", [*KINDS, "number"])
def test_every_other_combination_raises(combine, left, right):
    operand = KINDS.get(right, 1.0)
    if (left, right) in ALLOWED[combine]:
        assert combine(KINDS[left], operand)["zos"].shape == (1, 1, 2, 3)
    else:
        with pytest.raises(TypeError):
            combine(KINDS[left], operand)


def test_a_change_of_something_the_state_does_not_hold_is_refused():
    with pytest.raises(ValueError, match=r"\['sst'\].*\['zos'\]"):
        State({"zos": full(1.0)}) + Increment({"sst": full(1.0)})


@pytest.mark.parametrize(("left", "right"), [("zos", "sst"), ("zos so", "zos"), ("zos", "zos so")])
def test_states_of_different_variables_have_no_difference(left, right):
    a, b = (State({name: full(1.0) for name in names.split()}) for names in (left, right))
    with pytest.raises(ValueError, match="only one of them holds"):
        a - b


def test_arithmetic_leaves_its_operands_alone():
    state, change = State({"zos": full(1.0)}), Increment({"zos": full(2.0)})
    state + change, state - state, change * 3.0
    assert torch.equal(state["zos"], full(1.0))
    assert torch.equal(change["zos"], full(2.0))


def test_a_mapping_keeps_its_kind_and_order():
    state = State({"a": full(1.0), "b": full(2.0)})
    assert same(state.map(lambda field: field + 1), State({"a": full(2.0), "b": full(3.0)}))
    assert list(state.only(("b", "a"))) == ["b", "a"]
    assert repr(state) == "State(a 1×1×2×3, b 1×1×2×3)"


@st.composite
def channels(draw):
    names = draw(st.lists(st.sampled_from(["thetao", "so", "uo", "vo", "zos", "sst"]), unique=True, min_size=1))
    cut = draw(st.integers(0, len(names)))
    return Channels(volume=names[:cut], surface=names[cut:], depth=list(range(1, 1 + draw(st.integers(1, 4)))))


@given(channels(), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_stack_and_split_are_each_other_s_inverse(channels, batch, seed):
    stacked = torch.randn(batch, len(channels), 3, 4, generator=torch.Generator().manual_seed(seed))
    fields = split(stacked, channels)
    assert [field.shape[1] for field in fields.values()] == [channels.levels(name) for name in fields]
    assert torch.equal(stack(fields, channels), stacked)
    shuffled = dict(reversed(fields.items()))  # the order of the mapping says nothing
    assert torch.equal(stack(shuffled, channels), stacked)


def test_split_refuses_the_wrong_number_of_channels():
    with pytest.raises(ValueError, match=r"3 channels do not make 2 of \['zos', 'sst'\]"):
        split(torch.zeros(1, 3, 2, 2), Channels(surface=("zos", "sst")))
