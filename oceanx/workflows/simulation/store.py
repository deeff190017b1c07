"""A simulation on disk: filled output by output, with the state it goes on from beside it until it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import xarray as xr
from torch import Tensor

from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

from ..growing_store import CHUNK, GrowingStore, together_in


class SimulationStore(GrowingStore):
    """A Zarr store of a simulation under construction: one position is one moment."""

    dim = "time"
    what = ("simulation", "another start, length, core, step or forcing")

    def chunks(self, variable: xr.Variable, together: int) -> tuple[int, ...]:
        """Whole maps; of small ones several moments share a chunk."""
        one = int(np.prod(variable.shape[1:])) * variable.dtype.itemsize
        times = together_in(CHUNK, one, together)
        return (min(times, variable.shape[0]), *variable.shape[1:])

    def read(self, path: Path) -> xr.Dataset:
        """The finished store, opened."""
        return xr.open_zarr(path, consolidated=False)

    def carry(self, state: Mapping[str, Tensor], at: slice) -> None:
        """Keep the state after these positions, so that the run can go on from there once they are written."""
        whole = {name: field.detach().cpu().contiguous() for name, field in state.items()}
        with files.replacing(self._carried(at.stop), overwrite=True) as path:
            safetensors.torch.save_file(whole, path)

    def write(self, made: xr.Dataset, at: slice) -> None:
        """Write these positions, note them as done, and forget the states of earlier ones."""
        super().write(made, at)
        for path in self.path.glob("state_*.safetensors"):
            if path != self._carried(at.stop):
                files.remove(path)

    def carried(self, like: Tensor) -> tuple[int, dict[str, Tensor] | None]:
        """How many positions are done, and the state after them on the device of `like`; none at the start."""
        if not self.done:
            return 0, None
        done = max(self.done) + 1
        try:
            state = safetensors.torch.load_file(self._carried(done))
        except (OSError, safetensors.SafetensorError):
            raise InputError(f"{self.path}: the state to go on from is gone; start afresh with overwrite") from None
        return done, {name: field.to(like.device) for name, field in state.items()}

    def _carried(self, done: int) -> Path:
        return self.path / f"state_{done}.safetensors"
