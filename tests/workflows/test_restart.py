"""Restarts: what was committed is what is found, to the bit, whatever was being written when the run was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from oceanx.vocabulary.errors import InputError
from oceanx.workflows.restart import Restart, commit, committed
from oceanx.workflows.runs import save_tensors


def test_what_was_committed_last_is_found(tmp_path: Path) -> None:
    assert committed(tmp_path) is None
    numbers = {"state/zos": torch.rand(3, 4).T, "counted heat": torch.tensor(0.1, dtype=torch.float64)}
    for done in (1, 2):
        commit(tmp_path, Restart(done, {name: done * tensor for name, tensor in numbers.items()}))
    (tmp_path / "restart.safetensors.partial").write_bytes(b"what a third was when it was cut off")
    found = committed(tmp_path)
    assert found is not None
    assert found.done == 2
    assert set(found.tensors) == set(numbers)
    for name, tensor in numbers.items():
        assert torch.equal(found.tensors[name], 2 * tensor)
        assert found.tensors[name].dtype == tensor.dtype


@pytest.mark.parametrize("content", [b"", b"no numbers at all, but some words"])
def test_a_damaged_one_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "restart.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"restart\.safetensors: not a safetensors file, or cut short .*--overwrite"):
        committed(tmp_path)


def test_weights_in_its_place_are_told_apart(tmp_path: Path) -> None:
    save_tensors(tmp_path / "restart.safetensors", {"weight": torch.ones(3)})
    with pytest.raises(InputError, match=r"restart\.safetensors: does not say how much is done; .*--overwrite"):
        committed(tmp_path)
