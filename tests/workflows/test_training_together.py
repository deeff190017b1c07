"""Two processes and networks that draw: what is shared out, averaged, scored or interrupted changes nothing."""

from __future__ import annotations

from pathlib import Path

import torch
import two_ranks
from toy_nets import SMALL

from oceanx.workflows.runs import tensors
from oceanx.workflows.train_config import TrainConfig


def test_dropout_is_the_same_sharded_and_resumed_and_of_each_process_its_own(tiny: TrainConfig, tmp_path: Path) -> None:
    """Each process leaves out other features of its own windows; the same ones when parameters are shared out, and when
    training is gone on with. Forecasts for the validation, made with the running mean, leave no trace in either."""
    changes = {
        "model": {
            "kind": "emulator",
            "net": {"kind": "resnet", "widths": [4, 8], "blocks": [1, 1], "groups": 2, "dropout": 0.5},
        },
        "rollout": [1, 2],
        "iterations": [3, 3],
        "batch_size": [4, 4],
        "average": 0.9,
        "learning_rate": 5e-3,
        "log": [],
        "validation": {"period": ["2002-04-01", "2002-05-10"], "every": 2, "starts": 3, "lead": "2D"},
    }
    config = TrainConfig.parse(tiny.dump() | changes)
    config.save(tmp_path / "whole.yaml")
    config.save(tmp_path / "stopped.yaml")
    config.model_copy(update={"sharding": "full"}).save(tmp_path / "sharded.yaml")
    work = """
        import hashlib
        import sys
        from pathlib import Path
        import toy_dataset
        import torch
        import torch.distributed as dist
        from oceanx.workflows import training
        from oceanx.workflows.train_config import TrainConfig

        dist.init_process_group("gloo")
        ocean, there, drawn = toy_dataset.ocean(500, start="2001-01-01"), Path(sys.argv[1]), []

        def listen(module, given, found):
            if isinstance(module, torch.nn.Dropout) and module.training:
                drawn.append(hashlib.sha256((found == 0).numpy().tobytes()).hexdigest())

        usual = training.learning_rate

        def interrupted(config, iteration, share):
            if iteration == 4:
                raise KeyboardInterrupt
            return usual(config, iteration, share)

        torch.nn.modules.module.register_module_forward_hook(listen)
        for name in ("whole", "sharded", "stopped"):
            config = TrainConfig.load(there / f"{name}.yaml")
            drawn.clear()
            if name == "stopped":
                training.learning_rate = interrupted
                try:
                    training.train(config, ocean, there / name)
                except KeyboardInterrupt:
                    training.learning_rate = usual
                drawn.clear()
            training.train(config, ocean, there / name, resume=True)
            print(name, *drawn[-12:])
        dist.destroy_process_group()
    """
    done = two_ranks.together(work, tmp_path)
    assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    assert not [line for each in done for line in each.stderr.splitlines() if "Warning" in line]
    drawn = [{line.split()[0]: line.split()[1:] for line in each.stdout.splitlines()} for each in done]
    for ours in drawn:
        assert len(set(ours["whole"])) > 6
        assert ours["whole"] == ours["sharded"] == ours["stopped"]
    assert not set(drawn[0]["whole"]) & set(drawn[1]["whole"])

    whole, sharded, stopped = (
        tensors(tmp_path / name / "weights.safetensors") for name in ("whole", "sharded", "stopped")
    )
    for name in whole:
        assert torch.equal(stopped[name], whole[name]), name
        torch.testing.assert_close(sharded[name], whole[name], rtol=1e-5, atol=1e-7, msg=name)


def test_every_network_learns_the_same_shared_out() -> None:
    """Gradients of a rollout, and their norm, are those of the whole network, averaged over the processes."""
    work = """
        import copy
        import gc
        import toy_nets
        import toy_tensors as toy
        import torch
        import torch.distributed as dist
        from oceanx.models.emulator import EmulatorConfig
        from oceanx.tensors.integrate import rollout
        from oceanx.workflows import sharding
        from oceanx.workflows.processes import Processes

        dist.init_process_group("gloo")
        here = Processes(dist.get_rank(), 2, torch.device("cpu"))
        task, geometry = toy.task(), toy.geometry()
        state, forcings = toy.state(task, geometry, seed=here.rank), toy.forcings(task, geometry, 2)

        def gradients(model):
            torch.manual_seed(here.rank)
            reached = rollout(model, state, forcings)
            torch.stack([field.square().mean() for step in reached for field in step.values()]).sum().backward()
            return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}

        def compare(name, net):
            torch.manual_seed(0)
            whole = EmulatorConfig(net=net).build(task, geometry, toy.statistics(task))
            toy.train_a_little(whole)
            shared = copy.deepcopy(whole)
            sharding.shard(shared, here)
            expected, found = gradients(whole), gradients(shared)
            for gradient in expected.values():
                dist.all_reduce(gradient)
                gradient /= 2
            norm = float(sharding.clip(shared.parameters(), 1e30, here))
            assert found.keys() == expected.keys(), name
            assert any(sharding.local(gradient).shape != gradient.shape for gradient in found.values()), name
            for key, gradient in expected.items():
                largest = max(float(gradient.abs().max()), 1e-9)
                torch.testing.assert_close(sharding.whole(found[key]), gradient, rtol=0.0, atol=1e-4 * largest)
            squares = torch.stack([gradient.square().sum() for gradient in expected.values()])
            assert abs(norm / float(squares.sum().sqrt()) - 1) < 1e-4, name
            print(name)

        for name, net in toy_nets.SMALL.items():
            compare(name, net)
        gc.collect()  # what is sharded holds on to the group, in cycles: it must be gone before
        dist.destroy_process_group()
    """
    done = two_ranks.together(work)
    assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    assert done[0].stdout.split() == list(SMALL)
    assert not [line for each in done for line in each.stderr.splitlines() if "Warning" in line]
