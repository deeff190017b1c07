"""Sharding: a model's parameters shared out among processes, gathered piece by piece where they are used (FSDP2).

For models whose parameters, gradients and optimiser together outgrow one card. A tensor that is shared out is a
DTensor: each process holds its part, `local`, and all of them together can make it `whole` again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeGuard

import torch
import torch.distributed as dist
from torch import Tensor, nn

from oceanx.models.named_network import NamedNetwork

from .processes import Processes

if TYPE_CHECKING:  # a fifth of the time in which a training begins, though few are sharded
    from torch.distributed.tensor import DTensor


def shard(model: nn.Module, here: Processes) -> None:
    """Share a model's parameters out among the processes, in place: those of its networks, block by block.

    What is around the networks stays whole everywhere, and so do scalars such as learned coefficients. PyTorch gathers
    a module's parameters when tensors pass through it, and it finds them in no State: a model itself is none of these.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(here.device.type, (here.count,))
    for network in (module.net for module in model.modules() if isinstance(module, NamedNetwork)):
        scalars = {parameter for parameter in network.parameters() if not parameter.dim()}
        blocks = [block for blocks in network.modules() if isinstance(blocks, nn.ModuleList) for block in blocks]
        for module in (*reversed(blocks), network):
            if not isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Identity):
                module.register_forward_hook(_no_view)
                fully_shard(module, mesh=mesh, ignored_params=scalars)


def scatter(model: nn.Module) -> None:
    """Forget what was gathered, because the processes' parts have changed since."""
    if not dist.is_initialized():
        return
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """The tensor in one piece. Every process must ask for it."""
    return tensor.full_tensor() if _shared_out(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's part of the tensor, in the same memory."""
    return tensor.to_local() if _shared_out(tensor) else tensor


def like(own: Tensor, value: Tensor) -> Tensor:
    """A whole tensor, shared out as `own` is."""
    if not _shared_out(own) or own.shape != value.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], most: float, here: Processes) -> Tensor:
    """The norm of the gradients of a sharded model, scaled down to `most`; those of its scalars are averaged first."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient in gradients:
        if not _shared_out(gradient):
            dist.all_reduce(gradient)
            gradient /= here.count
    square = torch.zeros((), device=here.device)
    for gradient in gradients:
        if _shared_out(gradient):
            square += local(gradient).float().square().sum()
    dist.all_reduce(square)
    square += sum(float(gradient.square().sum()) for gradient in gradients if not _shared_out(gradient))
    norm = square.sqrt()
    for gradient in gradients:
        local(gradient).mul_(torch.clamp(most / (norm + 1e-6), max=1.0))
    return norm


def _shared_out(tensor: Tensor) -> TypeGuard[DTensor]:
    return hasattr(tensor, "placements")


def _no_view(module: nn.Module, given: object, found: object) -> object:
    """What a module gives, in memory of its own: PyTorch follows it back, which fails if a view is written into."""
    return found.clone() if isinstance(found, Tensor) and found._is_view() else found
