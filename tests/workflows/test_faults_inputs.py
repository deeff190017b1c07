"""Training and forecasting on the wrong input: one line that names what is wrong, and nothing is changed by it."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import two_ranks
import xarray as xr
from command_line import Oceanx
from safetensors.torch import save_file

import oceanx as ox
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.published_weights import read
from oceanx.workflows.runs import Run, load, tensors
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import train


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture
def run(tiny: TrainConfig, ocean: xr.Dataset, begun: Path, tmp_path: Path) -> Run:
    """A copy of a run that is trained."""
    if not (begun / "run").exists():
        train(tiny, ocean, begun / "run")
    return Run(shutil.copytree(begun / "run", tmp_path / "run"))


def unfinished(run: Run) -> Run:
    """The run as it was before its end."""
    (run / "weights.safetensors").unlink()
    run.note(finished=False)
    return run


class TestAnotherGrid:
    """A store that is not the one that a model was made for."""

    def test_forecast_on_another_region_or_other_levels(self, run: Run, ocean: xr.Dataset) -> None:
        model = load(run)
        with pytest.raises(InputError, match=r"latitude: grids differ: .*interpolate one to the other"):
            ox.forecast(model, ocean.isel(latitude=slice(2, None)), "2002-04-01", "2D")
        with pytest.raises(InputError, match=r"depth: no level near 47\.374 m; the Dataset has 0\.494, 92\.326 m"):
            ox.forecast(model, ocean.isel(depth=[0, 2]), "2002-04-01", "2D")

    def test_resume_on_a_part_of_the_store(self, tiny: TrainConfig, ocean: xr.Dataset, run: Run) -> None:
        """A part has the fingerprint of the whole."""
        before = (unfinished(run) / "checkpoint.safetensors").read_bytes()
        part = ocean.isel(latitude=slice(0, 8))
        with pytest.raises(
            InputError, match=r"run: was started on another grid, latitude: .*train into another folder"
        ):
            train(tiny, part, run, resume=True)
        dry = ocean.assign_coords(mask=ocean.mask.copy())
        dry.mask[0, 5, 3:5] = 0
        with pytest.raises(
            InputError, match=r"was started with another mask, 2 cells differ; go on with the same store"
        ):
            train(tiny, dry, run, resume=True)
        assert (run / "checkpoint.safetensors").read_bytes() == before
        assert not Run(run).about["finished"]

    def test_resume_on_other_days(self, tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        always = changed(tiny, train=None)
        run = unfinished(train(always, ocean, tmp_path / "run"))
        with pytest.raises(
            InputError, match=r"was started on period 2001-01-01 to 2002-05-15, now 2001-01-01 to 2002-0"
        ):
            train(always, ocean.isel(time=slice(0, 480)), run, resume=True)


class TestForcing:
    """Forcing that is not there, or not everywhere."""

    def test_is_missing(self, tiny: TrainConfig, ocean: xr.Dataset, run: Run, tmp_path: Path) -> None:
        still = ocean.drop_vars("u10")
        with pytest.raises(InputError, match=r"u10: the Dataset lacks this variable, it has .*open the store that"):
            train(tiny, still, tmp_path / "new")
        with pytest.raises(InputError, match="u10: the Dataset lacks this variable"):
            ox.forecast(load(run), still, "2002-04-01", "2D")

    def test_ends_too_early(self, tiny: TrainConfig, ocean: xr.Dataset, run: Run, tmp_path: Path) -> None:
        short = ocean.assign(u10=ocean.u10.where(ocean.time <= np.datetime64("2002-02-27")))
        with pytest.raises(InputError, match=r"u10: [0-9]+ wet cells are NaN at 2002-02-28; list the day"):
            train(tiny, short, tmp_path / "new")
        with pytest.raises(InputError, match=r"u10: .*2002-02-28"):
            ox.forecast(load(run), short, "2002-02-26", "4D", forcing="observed")

    @pytest.mark.parametrize("name", ["zos", "u10"])
    def test_is_nowhere(self, name: str, tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        """A variable without a single value is refused before anything is fitted to it; NumPy says nothing either."""
        hollow = ocean.assign({name: ocean[name] * np.nan})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InputError, match=f"{name}: .*no value"):
                train(tiny, hollow, tmp_path / "new")
        assert not (tmp_path / "new").exists()


class TestAnotherModel:
    """Files that are of something else, or damaged."""

    def test_a_checkpoint_cut_short(self, tiny: TrainConfig, ocean: xr.Dataset, run: Run) -> None:
        path = unfinished(run) / "checkpoint.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(
            InputError, match=r"checkpoint\.safetensors: not a safetensors file, or cut short .*train again"
        ):
            train(tiny, ocean, run, resume=True)

    def test_a_checkpoint_of_another(self, tiny: TrainConfig, ocean: xr.Dataset, run: Run, tmp_path: Path) -> None:
        wider = changed(tiny, model={"kind": "emulator", "net": {"kind": "unet", "widths": [4, 16], "groups": 2}})
        other = train(wider, ocean, tmp_path / "other")
        shutil.copy(run / "weights.safetensors", tmp_path)
        shutil.copy(other / "checkpoint.safetensors", unfinished(run))
        with pytest.raises(
            InputError, match=r"checkpoint\.safetensors: .* expected .*a checkpoint of another model or Task"
        ):
            train(tiny, ocean, run, resume=True)
        shutil.copy(tmp_path / "weights.safetensors", run / "checkpoint.safetensors")
        with pytest.raises(
            InputError, match=r"checkpoint\.safetensors: does not say its iteration; .* weights perhaps"
        ):
            train(tiny, ocean, run, resume=True)

    def test_code_in_a_pickle_is_never_run(
        self, tiny: TrainConfig, ocean: xr.Dataset, run: Run, tmp_path: Path
    ) -> None:
        made = tmp_path / "made by a pickle"
        torch.save({"model_state": {"weight": torch.zeros(1), "code": Making(made)}}, tmp_path / "published.tar")
        with pytest.raises(InputError, match=r"published\.tar: not a checkpoint that holds tensors alone"):
            read(tmp_path / "published.tar")
        (tmp_path / "bare.tar").write_bytes(pickle.dumps(Making(made), protocol=2))
        with pytest.raises(InputError, match=r"bare\.tar: not a checkpoint that holds tensors alone"):
            read(tmp_path / "bare.tar")
        shutil.copy(tmp_path / "published.tar", run / "weights.safetensors")
        with pytest.raises(InputError, match=r"weights\.safetensors: not a safetensors file"):
            load(run)
        shutil.copy(tmp_path / "bare.tar", unfinished(run) / "checkpoint.safetensors")
        with pytest.raises(InputError, match=r"checkpoint\.safetensors: not a safetensors file"):
            train(tiny, ocean, run, resume=True)
        assert not made.exists()
        pickle.loads((tmp_path / "bare.tar").read_bytes())  # what would have happened
        assert made.exists()

    def test_what_is_no_tensor_of_the_task(self, run: Run) -> None:
        held = tensors(run / "weights.safetensors")
        save_file(held | {"further": torch.zeros(2)}, run / "weights.safetensors")
        with pytest.raises(InputError, match=r"weights\.safetensors: further is unknown to this model"):
            load(run)


class Making:
    """What makes a folder when it is unpickled."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_divergence_at_a_prompt(
    tiny: TrainConfig,
    ocean: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    oceanx: Oceanx,
) -> None:
    """One line and exit status 2; the last good checkpoint stays, and training goes on from it to the same end."""
    ocean.drop_encoding().to_zarr(tmp_path / "ocean.zarr", consolidated=False)
    changed(tiny, learning_rate=[1e-3, 1e30], warmup=0).save(tmp_path / "tiny.yaml")
    monkeypatch.chdir(tmp_path)
    words = ["train", "tiny.yaml", "--data", "ocean.zarr", "--to", "run"]
    kept = []
    for further in ([], ["--resume"]):
        code, _, said = oceanx(*words, *further)
        assert code == 2
        *before, error = said.splitlines()
        assert not [line for line in before if not line.startswith("climatology and statistics: ")]
        assert error.startswith("error: run: the loss is no longer a number at iteration 7: ")
        assert " is no number after step 1, in windows from 200" in error
        assert error.endswith(
            "checkpoint stays. Look at the data of these days, or train anew with a lower learning_rate"
        )
        kept.append(tensors(tmp_path / "run" / "checkpoint.safetensors"))
    assert int(kept[0]["iteration"]) == 4
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0] if name != "seconds")
    assert all(bool(value.isfinite().all()) for name, value in kept[0].items() if name != "best")
    with pytest.raises(InputError, match="run: has no weights yet; go on with its training"):
        load(tmp_path / "run")


def test_processes_that_are_not_alike(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Another config, another store, a store that lacks something: all leave at the start, and one says why."""
    tiny.save(tmp_path / "tiny.yaml")
    work = """
        import sys
        from pathlib import Path
        import toy_dataset
        import torch.distributed as dist
        from oceanx.workflows.train_config import TrainConfig
        from oceanx.workflows.training import train
        dist.init_process_group("gloo")
        there, rank = Path(sys.argv[1]), dist.get_rank()
        config = TrainConfig.load(there / "tiny.yaml")
        ocean = toy_dataset.ocean(500, start="2001-01-01")
        other = config.model_copy(update={"seed": rank})
        noise = ocean.assign(zos=ocean.zos + rank)
        short = ocean.isel(time=slice(0, 500 - 100 * rank))
        for number, given in enumerate([(other, ocean), (config, noise), (config, short)]):
            try:
                train(*given, there / "never")
            except SystemExit as left:
                print(number, "left with", left.code)
            except ValueError as error:
                print(number, error)
        dist.destroy_process_group()
    """
    first, second = two_ranks.together(work, tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    ours, theirs = first.stdout.splitlines(), second.stdout.splitlines()
    assert ours[0] == (
        "0 seed: process 1 has 1, process 0 0; start all processes by the same command, in the same environment"
    )
    assert ours[1].startswith("1 data (zos): process 1 has '")
    assert ours[1].endswith("'; open the same store on every node")
    assert ours[2] == "2 left with 2"
    assert theirs[:2] == ["0 left with 2", "1 left with 2"]
    assert theirs[2].startswith("2 process 1: train: 2001-01-01 to 2002-03-31 is not all in the Dataset")
    assert not (tmp_path / "never").exists()
