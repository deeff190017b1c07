"""Training in stages: what is frozen stays, what is exact stays exact, and every way to compute gives one result."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
import two_ranks
import xarray as xr
from torch import nn

from oceanx.models.named_network import NamedNetwork
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import runs, training
from oceanx.workflows.learner import Learner
from oceanx.workflows.processes import Processes
from oceanx.workflows.runs import Run, tensors
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import learning_rate, train

STAGED = {
    "rollout": [1, 2, 1], "iterations": [3, 3, 3], "batch_size": [4, 4, 4], "learning_rate": [5e-3, 2e-3, 1e-3],
    "trains": [["network.net.head", "network.net.up"], ["network.net.down"], []], "warmup": 1,
}  # fmt: skip


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


def weights(run: Path, file: str = "weights.safetensors") -> dict[str, torch.Tensor]:
    return tensors(run / file)


def close(run: Path, other: Path, **tolerance: float) -> None:
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], **tolerance, msg=name)


def begun(config: TrainConfig, ocean: xr.Dataset, path: Path) -> Run:
    """A run folder of which nothing is trained yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Learner", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(config, ocean, path)
    return Run(path)


def test_only_what_a_stage_trains_moves(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Neither weights, nor their running mean, nor the optimiser's moments of what is frozen change by a bit."""
    config = changed(tiny, **STAGED, average=0.9, weight_decay=0.5, keep=20, checkpoint_every=1)
    run = train(config, ocean, tmp_path / "run")
    names = list(runs.build(config, *runs.described(run)).state_dict())
    for first, last, learns in ((1, 3, ("network.net.head", "network.net.up")), (4, 6, ("network.net.down",))):
        before, after = (weights(run, f"checkpoint-{at:08d}.safetensors") for at in (first, last))
        for index, name in enumerate(names):
            moves = name.startswith(learns)
            for kind in ("model", "average"):
                same = torch.equal(before[f"{kind}.{name}"], after[f"{kind}.{name}"])
                assert same != moves, (kind, name, first)
            moments = [f"optimiser.{index}.{slot}" for slot in ("exp_avg", "exp_avg_sq", "step")]
            assert not any(
                moment in after and not torch.equal(before[moment], after[moment])
                for moment in moments
                if moment in before and not moves
            )
    whole = weights(run, "checkpoint-00000009.safetensors")
    assert all(not torch.equal(whole[f"model.{name}"], after[f"model.{name}"]) for name in names if "weight" in name)


def test_what_is_frozen_stays_at_its_running_mean(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """The weights that are saved are those that later stages were trained around."""
    frozen = changed(tiny, **STAGED | {"trains": [["network.net"], ["network.net.head"], ["network.net.head"]]})
    run = train(changed(frozen, average=0.9), ocean, tmp_path / "run")
    checkpoint = weights(run, "checkpoint.safetensors")
    for name, value in weights(run).items():
        if name.startswith("network.net.down"):
            assert torch.equal(value, checkpoint[f"model.{name}"])
            assert torch.equal(value, checkpoint[f"average.{name}"])


def test_staged_training_resumes_to_the_last_bit(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(tiny, **STAGED, average=0.9)
    whole = train(config, ocean, tmp_path / "whole")
    for stop in (3, 5):
        run = tmp_path / f"stopped_{stop}"

        def interrupted(*given: Any, stop: int = stop) -> float:
            if given[1] == stop:
                raise KeyboardInterrupt
            return learning_rate(*given)

        monkeypatch.setattr(training, "learning_rate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, ocean, run)
        monkeypatch.undo()
        train(config, ocean, run, resume=True)
        close(run, whole, rtol=0, atol=0)
        ours, theirs = weights(run, "checkpoint.safetensors"), weights(whole, "checkpoint.safetensors")
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name != "seconds")


def test_a_rate_for_each_stage_warms_up_and_falls_in_it(tiny: TrainConfig) -> None:
    config = changed(tiny, **STAGED | {"iterations": [10, 20, 30], "warmup": 3})
    assert learning_rate(config, 0, 0.0) == pytest.approx(5e-3 / 4)
    assert learning_rate(config, 10, 10 / 60) == pytest.approx(2e-3 / 4)
    assert learning_rate(config, 20, 20 / 60) == pytest.approx(2e-3 / 2)  # in the middle of its stage
    assert learning_rate(config, 30, 30 / 60) == pytest.approx(1e-3 / 4)
    assert learning_rate(config, 60, 1.0) == pytest.approx(0.0, abs=1e-12)


def test_a_name_below_which_nothing_learns_is_refused(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"trains: unknown part of the model 'network\.nett'; did you mean 'network.ne"
    ):
        train(changed(tiny, trains=[["network.nett"]]), ocean, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="`trains` has 3 values for 2 stages"):
        changed(tiny, trains=[[], [], []])


@pytest.mark.parametrize("change", [{"accumulate": 2}, {"recompute": True}, {"deterministic": True}])
def test_other_ways_to_compute_give_the_same(
    change: dict[str, Any], tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path
) -> None:
    """Parts of a batch, one after the other, make the batch; what is computed again is the same; and a run may change
    from one way to another."""
    usual = train(tiny, ocean, tmp_path / "usual")
    run = train(changed(tiny, **change), ocean, tmp_path / "run")
    close(run, usual, rtol=1e-4, atol=1e-6)
    assert train(tiny, ocean, run, resume=True).config == changed(tiny, **change)
    assert not torch.are_deterministic_algorithms_enabled()


def test_parts_must_be_equal(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="accumulate: 4 windows of each process cannot be computed in 3 equal parts"):
        train(changed(tiny, accumulate=3), ocean, tmp_path / "run")


def test_bf16_is_the_network_s_alone(small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Convolutions are in bfloat16; what the model is given and gives, its weights and gradients are in float32."""
    config = changed(small, precision="bf16", rollout=[1], iterations=[4], batch_size=[4])
    learner = Learner(begun(config, ocean, tmp_path / "run"), config, Processes(0, 1, torch.device("cpu")))
    inside: list[torch.dtype] = []
    convolution = next(module for module in learner.model.modules() if isinstance(module, nn.Conv2d))
    convolution.register_forward_hook(lambda module, given, found: inside.append(found.dtype))
    outside: list[torch.dtype] = []
    network = next(module for module in learner.model.modules() if isinstance(module, NamedNetwork))
    network.register_forward_hook(lambda module, given, found: outside.extend(f.dtype for f in found.values()))
    reached: list[torch.dtype] = []
    learner.model.register_forward_hook(lambda module, given, found: reached.extend(f.dtype for f in found.values()))
    run = train(config, ocean, tmp_path / "run", resume=True)
    learner.begin(config.stages[0], {})
    windows = training._windows(ocean, run, config, 1)
    learner.gradients(windows.__getitems__([0, 1, 2, 3]))
    assert set(inside) == {torch.bfloat16}
    assert set(outside) == set(reached) == {torch.float32}
    assert {p.grad.dtype for p in learner.model.parameters() if p.grad is not None} == {torch.float32}
    rough, fine = weights(run), weights(train(changed(config, precision="float32"), ocean, tmp_path / "fine"))
    assert any(not torch.equal(rough[name], fine[name]) for name in fine)
    close(run, tmp_path / "fine", rtol=0.0, atol=4e-4)  # AdamW: a few steps of at most the learning rate


def test_what_cannot_be_compiled_runs_plainly(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def broken(model: nn.Module, **options: Any) -> Any:
        def call(*given: Any) -> Any:
            raise TorchDynamoException("no compiler here\nlong story")

        return call

    usual = train(tiny, ocean, tmp_path / "usual")
    monkeypatch.setattr(torch, "compile", broken)
    run = train(changed(tiny, compile=True), ocean, tmp_path / "run")
    close(run, usual, rtol=0, atol=0)
    assert [record.message for record in caplog.records].count("compile: runs plainly, because no compiler here") == 1


def test_a_compiled_step_is_the_step() -> None:
    """Through dynamo, without the minutes that a C++ compiler takes; in a process without shape checks, which it cannot
    trace."""
    work = """
        import toy_tensors as toy
        import torch
        from oceanx.models.emulator import EmulatorConfig
        from oceanx.nn.unet import UNetConfig
        from oceanx.workflows import learner

        task, geometry = toy.task(), toy.geometry()
        model = EmulatorConfig(net=UNetConfig(widths=(4,), groups=2)).build(task, geometry, toy.statistics(task))
        toy.train_a_little(model)
        through, traced = [], torch.compile

        def backend(graph, examples):
            through.append(len(list(graph.graph.nodes)))
            return graph.forward

        torch.compile = lambda model, **options: traced(model, backend=backend, **options)
        step = learner._compiled(model)
        state, forcing = toy.state(task, geometry), toy.forcings(task, geometry, 1)[0]
        found, expected = step(state, forcing), model(state, forcing)
        assert through and through[0] > 10
        for name in expected:
            torch.testing.assert_close(found[name], expected[name])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(work)],
        env=os.environ | {"PYTHONPATH": str(two_ranks.TESTS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_stage_accumulate_and_shard_alike(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Staged, in parts, with parameters shared out or whole: two processes end where one does, to rounding."""
    staged = changed(tiny, **STAGED, average=0.9)
    alone = train(staged, ocean, tmp_path / "alone")
    ways = {"plain": {}, "parts": {"accumulate": 2}, "sharded": {"sharding": "full"}}
    for name, change in ways.items():
        changed(staged, **change).save(tmp_path / f"{name}.yaml")
    work = """
        import sys
        from pathlib import Path
        import toy_dataset
        import torch.distributed as dist
        from oceanx.workflows import training
        from oceanx.workflows.train_config import TrainConfig
        dist.init_process_group("gloo")
        ocean, there = toy_dataset.ocean(500, start="2001-01-01"), Path(sys.argv[1])
        for name in ("plain", "parts", "sharded"):
            config = TrainConfig.load(there / f"{name}.yaml")
            usual = training.learning_rate
            if name == "sharded":  # interrupted in the second stage, and gone on with
                def interrupted(config, iteration, share):
                    if iteration == 5:
                        raise KeyboardInterrupt
                    return usual(config, iteration, share)
                training.learning_rate = interrupted
                try:
                    training.train(config, ocean, there / name)
                except KeyboardInterrupt:
                    training.learning_rate = usual
            training.train(config, ocean, there / name, resume=True)
        other = toy_dataset.ocean(500, start="2001-01-01", seed=dist.get_rank())
        try:
            training.train(config, other, there / "never")
        except ValueError as error:
            print(error)
        dist.destroy_process_group()
    """
    done = two_ranks.together(work, tmp_path)
    assert done[0].returncode == 0, done[0].stderr
    for name in ways:
        close(tmp_path / name, alone, rtol=1e-4, atol=1e-6)
    assert "open the same store on every node" in done[0].stdout
    assert done[1].returncode == 2
    assert not [line for each in done for line in each.stderr.splitlines() if "Warning" in line]
    assert not (tmp_path / "never").exists()
    assert runs.load(tmp_path / "sharded").task == tiny.task
