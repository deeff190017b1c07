"""The promises that `checks.check_step` holds against a model: each gives what was found, or raises."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from oceanx.tensors.integrate import Step, rollout
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

from . import check_subject, runs
from .check_subject import Subject, one

UNPROMISED, UNCHECKED = "not promised", "not checked"

ROUNDING = 2e-6  # of a value in float32, after a few operations
SHARE = 1e-3  # of a step's change by which the same step, computed in another order, may differ
FAR = 10.0  # spreads of a variable that no single step moves it by
WIDER = 1.0  # widths of a variable's own range by which a rollout may leave it on each side


class BrokenError(Exception):
    """A promise that is not kept: what was found, in which variable, by how much."""


class NotHeldError(Exception):
    """A promise that was not held against the model: whether it makes none, or why it could not be."""

    def __init__(self, outcome: str, why: str):
        super().__init__(why)
        self.outcome = outcome


def names(subject: Subject, **_: object) -> str:
    """A step keeps variables, shapes, types and units."""
    before = subject.state
    after = _stepped(subject.untrained, before, subject.forcing)
    if not isinstance(after, State):
        raise BrokenError(f"a step gives {type(after).__name__}; expected a State")
    for name, field in before.items():
        if name not in after:
            raise BrokenError(f"{name} is lost: a step gives {list(after)} of {list(before)}")
        if after[name].shape != field.shape or after[name].dtype != field.dtype:
            found, expected = ((tuple(x.shape), str(x.dtype)) for x in (after[name], field))
            raise BrokenError(f"{name} is {found[0]} of {found[1]}; expected {expected[0]} of {expected[1]}")
    strangers = [name for name in after if name not in before]
    if strangers:
        raise BrokenError(f"a step adds {strangers} to {list(before)}")
    for name, field in before.items():
        step = float((after[name] - field)[:, subject.wet(name)].square().mean().sqrt())
        if not step <= FAR * subject.spread(name) + ROUNDING:
            raise BrokenError(
                f"{name} moves by {_said(step, name)} in one step, while in all it varies by "
                f"{_said(subject.spread(name), name)}; is it normalised, or in other units?"
            )
    return f"{len(before)} variables"


def land(subject: Subject, **_: object) -> str:
    """What is 0 on land stays 0 there."""
    step = _speaking(subject)
    after = _stepped(step, subject.state, subject.forcing)
    for name, field in after.items():
        dry = ~subject.wet(name)
        found = field[:, dry]
        if found.any() or not found.isfinite().all():
            count = int((found != 0).any(0).sum())
            raise BrokenError(
                f"{name} is up to {_said(float(found.abs().max()), name)} in {count} of {int(dry.sum())} cells"
            )
    return f"{int((~subject.wet(next(iter(after)))).sum())} cells of land"


def gradients(subject: Subject, **_: object) -> str:
    """A finite gradient reaches every weight, over two steps."""
    _refuse_without_weights(subject)
    module = subject.spoken()
    states = list(rollout(module, subject.state, [subject.forcing] * 2))
    scale = {name: max(subject.change(name), 1e-12) for name in subject.state}
    loss = torch.stack([((x[n] - subject.state[n]) / scale[n]).square().mean() for x in states for n in x]).sum()
    if not loss.requires_grad:
        raise BrokenError("no weight makes a difference: the step is cut off from its weights (no_grad, detach?)")
    loss.backward()
    count = 0
    for name, weight in module.named_parameters():
        if not weight.requires_grad:
            continue
        count += 1
        if weight.grad is None or not weight.grad.any():
            raise BrokenError(f"no gradient reaches {name} {tuple(weight.shape)}")
        if not weight.grad.isfinite().all():
            bad = int((~weight.grad.isfinite()).sum())
            raise BrokenError(f"the gradient of {name} is no number in {bad} of {weight.numel()} places")
    return f"{count} weights, {sum(weight.numel() for weight in module.parameters())} numbers"


def bounded(subject: Subject, *, days: int, **_: object) -> str:
    """Untrained, the sea stays in sight of the ocean's own range."""
    steps = max(1, round(pd.Timedelta(days, "D") / pd.Timedelta(subject.task.step)))
    reach = {name: _range(subject, name) for name in subject.state}
    furthest = (0.0, "")
    state = subject.state.map(lambda field: field[:1])
    with torch.no_grad():
        for i, after in enumerate(rollout(subject.untrained, state, subject.along(steps)), start=1):
            for name, field in after.items():
                wet, (low, high) = field[:, subject.wet(name)], reach[name]
                when = pd.Timedelta(subject.task.step) * i
                if not wet.isfinite().all():
                    raise BrokenError(
                        f"{name} is no number in {int((~wet.isfinite()).sum())} cells after {when.days} days"
                    )
                least, most, width = float(wet.min()), float(wet.max()), max(high - low, 1e-6)
                beyond = max(low - least, most - high) / width
                furthest = max(furthest, (beyond, name))
                if beyond > WIDER:
                    raise BrokenError(
                        f"{name} reaches {least:.4g} to {_said(most, name)} after {when.days} days; the ocean has "
                        f"{low:.4g} to {high:.4g}"
                    )
    if not furthest[1]:
        return f"{days} days, within the ocean's range"
    return f"{days} days, {furthest[1]} at most {100 * furthest[0]:.0f} % of its range beyond it"


def skeleton(subject: Subject, **_: object) -> str:
    """Untrained, the networks say exactly nothing, and what remains is what the model says it is."""
    module = _refuse_without_weights(subject)
    if subject.make is None:
        raise NotHeldError(
            UNCHECKED, "it may be trained already: give the config or the run folder instead of the Model"
        )
    said = _stepped(module, subject.state, subject.forcing)
    declared = getattr(module, "skeleton", None)
    if declared is not None:
        with torch.no_grad():
            _same(declared(subject.state, subject.forcing), said, "untrained it is not its skeleton", ROUNDING)
    if not check_subject.networks(module):
        if declared is None:
            raise NotHeldError(UNPROMISED, "it has no network of oceanx.nn, and no method `skeleton`")
        return "its own `skeleton`"
    with check_subject.silenced(module):
        alone = _stepped(module, subject.state, subject.forcing)
    _same(alone, said, "untrained its networks are not silent", 0.0)
    return "its own `skeleton`, and silent networks" if declared is not None else "silent networks"


def batch(subject: Subject, **_: object) -> str:
    """Two start dates together are the same as each alone."""
    step = _speaking(subject)
    together = _stepped(step, subject.state, subject.forcing)
    worst = 0.0
    for i in range(2):
        alone = _stepped(step, one(subject.state, i), Forcing(*(one(told, i) for told in subject.forcing)))
        changes = _changes(subject, together)
        worst = max(worst, _same(alone, one(together, i), "in a batch it is not what it is alone", SHARE, changes))
    return f"to {worst:.1e} of a step's change"


def longitude(subject: Subject, *, turns_by: int | None, **_: object) -> str:
    """Where the globe is turned, so is the forecast."""
    module = _refuse_without_weights(subject)
    by = check_subject.turns_by(module) if turns_by is None else turns_by
    columns = subject.labelled.sizes["longitude"]
    if by is None:
        raise NotHeldError(UNPROMISED, "neither it nor its networks have an attribute `turns_by`")
    if not subject.windows.periodic or columns % by or columns == by:
        round_it = "" if subject.windows.periodic else " that does not go round the globe"
        raise NotHeldError(UNPROMISED, f"it turns by {by} columns, on a grid of {columns}{round_it}")
    if subject.make is None:
        raise NotHeldError(
            UNCHECKED, "how to build it on a turned globe is not known: give the config or the run folder"
        )
    here = subject.spoken()
    there = subject.make(subject.turned(by), subject.seed)
    there.load_state_dict(here.state_dict())
    turn: Callable[[Tensor], Tensor] = lambda field: field.roll(-by, -1)  # noqa: E731
    after = _stepped(here, subject.state, subject.forcing)
    turned = _stepped(there, subject.state.map(turn), Forcing(*(told.map(turn) for told in subject.forcing)))
    what = f"turned by {by} columns it is not the same"
    worst = _same(turned, after.map(turn), what, SHARE, _changes(subject, after))
    return f"by {by} of {columns} columns, to {worst:.1e} of a step's change"


def saved(subject: Subject, **_: object) -> str:
    """Weights written and read again give the same numbers."""
    _refuse_without_weights(subject)
    first = subject.spoken()
    if subject.make is not None:
        second = subject.make(subject.turned(0), subject.seed + 1)
    else:
        second = check_subject.moved(copy.deepcopy(first), subject.seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        try:
            runs.save_tensors(path, first.state_dict())
            runs.restore(second, runs.tensors(path), Path("weights.safetensors"))
        except (InputError, RuntimeError) as error:
            raise BrokenError(" ".join(str(error).split())) from None
    again, once = (_stepped(module, subject.state, subject.forcing) for module in (second, first))
    _same(again, once, "loaded it is not what was saved", 0.0)
    return f"{len(first.state_dict())} tensors"


def compiled(subject: Subject, **_: object) -> str:
    """`torch.compile` gives the same numbers."""
    _refuse_without_weights(subject)
    module = subject.spoken()
    plain = _stepped(module, subject.state, subject.forcing)
    try:
        fused = _stepped(torch.compile(module), subject.state, subject.forcing)
    except Exception as error:  # whatever the compiler does not take
        raise BrokenError(f"does not compile: {' '.join(str(error).split())[:300]}") from None
    worst = _same(fused, plain, "compiled it is not what it is plainly", SHARE, _changes(subject, plain))
    return f"to {worst:.1e} of a step's change"


PROMISES: dict[str, Callable[..., str]] = {
    held.__name__: held for held in (names, land, gradients, bounded, skeleton, batch, longitude, saved, compiled)
}


def _stepped(step: Step, state: State, forcing: Forcing) -> State:
    try:
        with torch.no_grad():
            return step(state, forcing)
    except (RuntimeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BrokenError(f"a step fails: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error


def _refuse_without_weights(subject: Subject) -> nn.Module:
    """The untrained model as a module; what has no weights is not held against promises about them."""
    step = subject.untrained
    if not isinstance(step, nn.Module) or not any(True for _ in step.parameters()):
        raise NotHeldError(UNPROMISED, "it has no weights")
    return step


def _speaking(subject: Subject) -> Step:
    """The model with something to say: its weights moved, if it has any."""
    return subject.spoken() if isinstance(subject.untrained, nn.Module) else subject.untrained


def _changes(subject: Subject, after: State) -> dict[str, float]:
    """By variable, how much this step changed it (root mean square), or the ocean did where it was less."""
    return {
        name: max(float((after[name] - before).square().mean().sqrt()), subject.change(name))
        for name, before in subject.state.items()
    }


def _same(found: State, expected: State, what: str, share: float, changes: Mapping[str, float] | None = None) -> float:
    """The largest difference in units of `changes` (of the values, without them); `BrokenError` beyond `share`."""
    worst = 0.0
    for name, field in expected.items():
        if name not in found or found[name].shape != field.shape:
            raise BrokenError(f"{what}: {name} is not there, or of another shape")
        apart, size = (found[name] - field).abs().nan_to_num(torch.inf), float(field.abs().max())
        furthest = float(apart.max())
        scale = changes[name] if changes else size
        allowed = share * scale + (ROUNDING * size if changes else 0.0)
        if furthest > allowed:
            raise BrokenError(f"{what}: {name} differs by up to {_said(furthest, name)}, allowed {allowed:.2g}")
        worst = max(worst, furthest / scale if scale > 0 else 0.0)
    return worst


def _range(subject: Subject, name: str) -> tuple[float, float]:
    """The least and the largest value of a variable on the days that were looked at."""
    wet = torch.cat([state[name] for state in subject.seen])[:, subject.wet(name)]
    return float(wet.min()), float(wet.max())


def _said(value: float, name: str) -> str:
    units = VARIABLES[name].units if name in VARIABLES else ""
    return f"{value:.3g} {units}" if units not in ("", "1") else f"{value:.3g}"
