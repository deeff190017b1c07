"""Sharding: a model's parameters shared out among processes, gathered piece by piece where they are used (FSDP2).

For models whose parameters, gradients and optimiser together outgrow one card. A tensor that is shared out is a
DTensor: each process holds its part, `local`, and all of them together can make it `whole` again.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils import _pytree

from oceanx.tensors.state import Fields, Increment, State, Tendency

from .processes import Processes


def shard(model: nn.Module, here: Processes) -> None:
    """Share a model's parameters out among the processes, in place: the blocks of its networks one by one.

    Scalars, such as learned coefficients, stay whole everywhere.
    """
    _see_through_states()
    mesh = init_device_mesh(here.device.type, (here.count,))
    scalars = {parameter for parameter in model.parameters() if not parameter.dim()}
    blocks = [block for blocks in model.modules() if isinstance(blocks, nn.ModuleList) for block in blocks]
    for block in reversed(blocks):
        if not isinstance(block, nn.ModuleList | nn.ModuleDict | nn.Identity):
            fully_shard(block, mesh=mesh, ignored_params=scalars)
    fully_shard(model, mesh=mesh, ignored_params=scalars)


def whole(tensor: Tensor) -> Tensor:
    """The tensor in one piece. Every process must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's part of the tensor, in the same memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(own: Tensor, value: Tensor) -> Tensor:
    """A whole tensor, shared out as `own` is."""
    if not isinstance(own, DTensor) or own.shape != value.shape:
        return value
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], most: float, here: Processes) -> Tensor:
    """The norm of the gradients of a sharded model, scaled down to `most`; those of its scalars are averaged first."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient in gradients:
        if not isinstance(gradient, DTensor):
            dist.all_reduce(gradient)
            gradient /= here.count
    parts = [local(gradient).float().square().sum() for gradient in gradients if isinstance(gradient, DTensor)]
    square = torch.stack(parts).sum()
    dist.all_reduce(square)
    square += sum(float(gradient.square().sum()) for gradient in gradients if not isinstance(gradient, DTensor))
    norm = square.sqrt()
    for gradient in gradients:
        local(gradient).mul_(torch.clamp(most / (norm + 1e-6), max=1.0))
    return norm


def _see_through_states() -> None:
    """Let PyTorch find the tensors in what a model takes and gives: it gathers parameters when they pass by."""
    for kind in (Fields, State, Increment, Tendency):
        if kind not in _pytree.SUPPORTED_NODES:
            _pytree.register_pytree_node(
                kind,
                lambda fields: (list(fields.values()), tuple(fields)),
                lambda values, names, kind=kind: kind(dict(zip(names, values, strict=True))),  # type: ignore[misc]
            )
