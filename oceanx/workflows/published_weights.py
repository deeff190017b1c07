"""Published weights: NeuralOM's and OneForecast's released checkpoints, read into our modules tensor by tensor.

A released `training_checkpoints/*.tar` is a torch dict of `iters`, `epoch`, `model_state` and `optimizer_state_dict`;
the names in `model_state` begin with `module.` where it was trained on several cards.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from oceanx.models.named_network import NamedNetwork
from oceanx.models.neuralom import NeuralOM
from oceanx.nn.mesh_network import MeshNetwork
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.published import FORCING, STATE

# A released name is a place and, below it, a part: of an MLP or of a message.
_MLPS = {
    "encoder_embedder.grid_node_mlp": "embed_cells",
    "encoder_embedder.mesh_node_mlp": "embed_vertices",
    "encoder_embedder.mesh_edge_mlp": "embed_within",
    "encoder_embedder.grid2mesh_edge_mlp": "embed_inwards",
    "decoder_embedder.mesh2grid_edge_mlp": "embed_outwards",
    "encoder.src_node_mlp": "encode_cells",
    "encoder.dst_node_mlp": "encode_vertices.mlp",
    "decoder.node_mlp": "decode_cells.mlp",
    "finale": "head",
}
_MESSAGES = {"encoder.edge_mlp": "encode", "decoder.edge_mlp": "decode"}
_MLP_PARTS = {"model.0": "first", "model.2": "second", "model.3": "norm"}
_MESSAGE_PARTS = {
    "lin_efeat": "edge.weight",
    "lin_src": "sender.weight",
    "lin_dst": "receiver.weight",
    "bias": "receiver.bias",
    "model.1": "second",
    "model.2": "norm",
    "physics_src": "of_sender.mix",
    "physics_dst": "of_receiver.mix",
    "norm_src": "of_sender.norm",
    "norm_dst": "of_receiver.norm",
}
_ATTENTION = {  # OneForecast's
    ("message", "gate_net.0"): "message.first_gate",
    ("message", "gate_net.2"): "message.second_gate",
    ("node", "attn_net.0"): "node.first",
    ("node", "attn_net.2"): "node.second",
}
_BOOKKEEPING = {"device_buffer"}  # an empty buffer of the library that the released code is built on
_FIRST = "embed_cells.first.weight"  # [width, channels]: the only one that depends on what is read
_SHOWN = 4  # of each kind in one message


def load_published(model: NeuralOM, *paths: Path | str) -> None:
    """Put released checkpoints into the stages of a NeuralOM, the first of them into the first stage.

    A released network reads the state and the forcing at both ends of the step. Ours reads these first and more after
    them, to which it is made deaf: the weights are a beginning for training. They are no reproduction, as our
    normalisation is of the run's own training period and takes the climatology out of all that is read.

    Raises
    ------
    InputError
        The model does not do as published, or a tensor does not fit: the message says which and why.
    """
    if len(paths) > len(model.stages):
        raise InputError(f"{len(paths)} checkpoints for {len(model.stages)} stages; give one for each of the first")
    _refuse_other_ways(model)
    for stage, path in zip(model.stages, paths, strict=False):
        if not isinstance(stage, NamedNetwork) or not isinstance(stage.net, MeshNetwork):
            raise InputError(
                f"{path}: is of a mesh network, and the stage it is for is none; give it a net of kind mesh"
            )
        load_network(stage.net, path, deaf=True)


def load_network(network: MeshNetwork, path: Path | str, *, deaf: bool = False) -> None:
    """Put a released checkpoint into a mesh network.

    Parameters
    ----------
    deaf
        Whether the network may read channels after those of the released one; their weights become zero.

    Raises
    ------
    InputError
        It is no such checkpoint, or a tensor does not fit: the message says which and why.
    """
    saved = read(path)
    problems = misfits(network, saved, deaf=deaf)
    if problems:
        more = f"; and {len(problems) - _SHOWN} more, see published_weights.misfits" if len(problems) > _SHOWN else ""
        raise InputError(f"{path}: does not fit: {'; '.join(problems[:_SHOWN])}{more}")
    fitting = {ours(name, len(network.processor)): tensor for name, tensor in saved.items()}
    own = network.state_dict()
    weight = own[_FIRST].new_zeros(own[_FIRST].shape)
    weight[:, : fitting[_FIRST].shape[1]] = fitting[_FIRST]
    network.load_state_dict({name: weight if name == _FIRST else fitting[name] for name in own})


def read(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a released checkpoint by their released names, without `module.`; nothing else is unpickled."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        said = str(error).split("\n")[0]
        raise InputError(f"{path}: not a checkpoint that holds tensors alone ({said})") from None
    state = found.get("model_state") if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        has = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise InputError(f"{path}: expected tensors under `model_state`, as NeuralOM saves them; found {has}")
    tensors = {str(name).removeprefix("module."): value for name, value in state.items()}
    return {name: value for name, value in tensors.items() if name not in _BOOKKEEPING}


def misfits(network: MeshNetwork, saved: Mapping[str, Tensor], *, deaf: bool = False) -> list[str]:
    """What of a released checkpoint does not fit a mesh network, in words: unknown tensors, other shapes, lacking ones.

    Parameters
    ----------
    deaf
        Whether the network may read channels after those of the released one.
    """
    own, problems, met = network.state_dict(), [], set()
    for name, tensor in saved.items():
        target = ours(name, len(network.processor))
        if target not in own:
            problems.append(f"{name} has no counterpart in this network")
            continue
        met.add(target)
        have, want = tuple(tensor.shape), tuple(own[target].shape)
        wider = deaf and target == _FIRST and have[:1] == want[:1] and have[1] < want[1]
        if have != want and not wider:
            problems.append(f"{name} is {have}, and {target} is {want}")
    return problems + [f"{target} is not in the checkpoint" for target in own if target not in met]


def ours(name: str, layers: int) -> str | None:
    """Our name in a MeshNetwork of so many layers for a released one, or None where there is no counterpart."""
    for place, module in _MLPS.items():
        if name.startswith(f"{place}."):
            return _part(name.removeprefix(f"{place}."), module, _MLP_PARTS)
    for place, module in _MESSAGES.items():
        if name.startswith(f"{place}."):
            return _part(name.removeprefix(f"{place}."), module, _MESSAGE_PARTS)
    within = re.fullmatch(r"(processor(?:_encoder|_decoder)?)\.processor_layers\.(\d+)\.(.+)", name)
    if not within:
        return None
    stack, block, rest = within[1], int(within[2]), within[3]
    layer = {"processor_encoder": 0, "processor": 1, "processor_decoder": layers - 1}[stack] + block // 2
    return _within_layer(rest, f"processor.{layer}", "node" if block % 2 else "message")


def _within_layer(name: str, layer: str, block: str) -> str | None:
    """Blocks alternate: of edges, then of nodes."""
    for (where, place), module in _ATTENTION.items():
        if where == block and name.startswith(f"{place}."):
            return f"{layer}.{module}.{name.removeprefix(f'{place}.')}"
    if block == "message":
        return _part(name.removeprefix("edge_mlp."), f"{layer}.message", _MESSAGE_PARTS)
    for place, module in (("node_mlp", "mlp"), ("gate_net", "gate")):
        if name.startswith(f"{place}."):
            return _part(name.removeprefix(f"{place}."), f"{layer}.node.{module}", _MLP_PARTS)
    return None


def _part(name: str, module: str, parts: Mapping[str, str]) -> str | None:
    for released, mine in parts.items():
        if name == released:
            return f"{module}.{mine}"
        if name.startswith(f"{released}."):
            return f"{module}.{mine}.{name.removeprefix(f'{released}.')}"
    return None


def _refuse_other_ways(model: NeuralOM) -> None:
    """Raise `InputError` where released weights would mean something else."""
    config, task = model.config, model.task
    if config.writes != "as_published":
        raise InputError("model.writes: the released networks write whole states; build it with writes: as_published")
    fixed = [i for i, net in enumerate(config.stages) if net.kind == "mesh" and not net.as_published]
    if fixed:
        raise InputError(
            f"model.stages: {fixed} compare the ends of edges, the released do not; say as_published: true"
        )
    if task.prognostic.names != STATE or task.forcing.names != FORCING:
        raise InputError(
            f"task: the released networks read {list(STATE)} and {list(FORCING)} in this order, found "
            f"{list(task.prognostic.names)} and {list(task.forcing.names)}"
        )
