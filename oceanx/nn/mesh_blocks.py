"""Blocks of a graph network: nodes speak along edges, and every node makes something of what it hears.

Features are [node, batch, width] and [edge, batch, width], so that a gather takes whole rows and the maps of a batch
share one graph. A linear layer of what stands at an edge's two ends is taken of the nodes before it is gathered: there
are far fewer of them.

References
----------
Battaglia et al. (2018), arXiv:1806.01261 (edge and node blocks); Lam et al. (2023), Science 382, 1416,
doi:10.1126/science.adi2336; Gao et al. (2026), Proc. AAAI 40 (NeuralOM), arXiv:2505.21020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from .fourier import precise
from .mesh import Edges

Nodes = Float[Tensor, "node #batch width"]
Senders = Float[Tensor, "sender #batch width"]
Receivers = Float[Tensor, "receiver #batch width"]
AtEdges = Float[Tensor, "edge #batch width"]


class Graph(nn.Module):
    """Edges as buffers that are not saved: gathers from senders and receivers, and sums at receivers."""

    sender: Tensor
    receiver: Tensor
    features: Tensor
    degree: Tensor

    def __init__(self, edges: Edges, receivers: int):
        super().__init__()
        degree = np.bincount(edges.receivers, minlength=receivers)
        buffers = {
            "sender": torch.from_numpy(edges.senders),
            "receiver": torch.from_numpy(edges.receivers),
            "features": torch.from_numpy(edges.features).float()[:, None],
            "degree": torch.from_numpy(np.maximum(degree, 1)).float()[:, None, None],
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def from_sender(self, nodes: Nodes) -> AtEdges:
        """What stands at each edge's beginning."""
        return nodes.index_select(0, self.sender)

    def from_receiver(self, nodes: Nodes) -> AtEdges:
        """What stands at each edge's end."""
        return nodes.index_select(0, self.receiver)

    def sum(self, messages: AtEdges) -> Nodes:
        """The sum of what each receiver hears; 0 where it hears nothing."""
        return messages.new_zeros(len(self.degree), *messages.shape[1:]).index_add(0, self.receiver, messages)

    def softmax(self, logits: AtEdges) -> AtEdges:
        """Positive weights, in each feature one in sum over the edges of a receiver."""
        logits = precise(logits)
        where = self.receiver[:, None, None].expand_as(logits)
        most = logits.new_full((len(self.degree), *logits.shape[1:]), -torch.inf)
        most = most.scatter_reduce(0, where, logits.detach(), "amax")
        weights = (logits - self.from_receiver(most)).exp()
        return weights / self.from_receiver(self.sum(weights))


class MLP(nn.Module):
    """One hidden layer, SiLU, and (with `norm`) LayerNorm at the end; of one tensor, or of several side by side."""

    def __init__(self, channels_in: int, width: int, channels_out: int, norm: bool = True):
        super().__init__()
        self.first = nn.Linear(channels_in, width)
        self.second = nn.Linear(width, channels_out)
        self.norm = nn.LayerNorm(channels_out) if norm else nn.Identity()

    def forward(self, *parts: Tensor) -> Tensor:
        return self.norm(self.second(silu(side_by_side(self.first, *parts))))


def side_by_side(layer: nn.Linear, *parts: Tensor) -> Tensor:
    """The layer applied to the parts one beside the other, which are never put together: a sum of linear layers."""
    blocks = layer.weight.split([part.shape[-1] for part in parts], dim=1)
    total = linear(parts[0], blocks[0], layer.bias)
    for part, block in zip(parts[1:], blocks[1:], strict=True):
        total = total + linear(part, block)
    return total


class Message(nn.Module):
    """What an edge says: an MLP of its own features and of both its ends."""

    def __init__(self, width: int):
        super().__init__()
        self.edge = nn.Linear(width, width, bias=False)
        self.sender = nn.Linear(width, width, bias=False)
        self.receiver = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, edges: AtEdges, senders: Senders, receivers: Receivers, graph: Graph) -> AtEdges:
        a, b = self.ends(self.sender(senders), self.receiver(receivers), graph)
        return self.norm(self.second(silu((a + b).add_(self.edge(edges)))))

    def ends(self, senders: Senders, receivers: Receivers, graph: Graph) -> tuple[AtEdges, AtEdges]:
        """What an edge takes from its beginning and from its end."""
        return graph.from_sender(senders), graph.from_receiver(receivers)


class Compared(nn.Module):
    """SiLU(LayerNorm(W [a − b, a ∘ b, cos(a, b), own])), with a and b what stands at an edge's two ends.

    The difference is like a gradient, the product a coupling, the cosine an alignment.
    """

    def __init__(self, width: int):
        super().__init__()
        self.mix = nn.Linear(3 * width + 1, width)
        self.norm = nn.LayerNorm(width)

    def split(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The weights of difference, product, cosine and own."""
        width = self.mix.out_features
        difference, product, cosine, own = self.mix.weight.split([width, width, 1, width], dim=1)
        return difference, product, cosine, own

    def forward(self, linear_part: Tensor, product: Tensor, cosine: Tensor) -> Tensor:
        """Of what is linear in a and in b, the product and the cosine."""
        _, by_product, by_cosine, _ = self.split()
        mixed = linear(product, by_product, self.mix.bias).add_(linear_part)
        return silu(self.norm(mixed.addcmul_(cosine, by_cosine[:, 0].to(cosine.dtype))))


class ComparingMessage(Message):
    """A message that compares the two ends of each edge.

    `as_published` compares the two projections of one node with each other, before they are gathered: no feature then
    knows both ends.
    """

    def __init__(self, width: int, as_published: bool = False):
        super().__init__(width)
        self.as_published = as_published
        self.of_sender, self.of_receiver = Compared(width), Compared(width)

    def ends(self, senders: Senders, receivers: Receivers, graph: Graph) -> tuple[AtEdges, AtEdges]:
        (w, _, _, own_a), (v, _, _, own_b) = self.of_sender.split(), self.of_receiver.split()
        # W(a − b) + U a is linear in a and in b: taken of the nodes, then gathered.
        of_a = (senders, linear(senders, w + own_a), linear(senders, v), _inverse_length(senders))
        of_b = (receivers, linear(receivers, -w), linear(receivers, own_b - v), _inverse_length(receivers))
        if self.as_published:
            a, b = self._compared(of_a, of_b)
            return graph.from_sender(a), graph.from_receiver(b)
        return self._compared([*map(graph.from_sender, of_a)], [*map(graph.from_receiver, of_b)])

    def _compared(self, of_a: Sequence[Tensor], of_b: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        (a, for_a, for_b, shrink_a), (b, and_a, and_b, shrink_b) = of_a, of_b
        product = a * b
        cosine = (precise(product).sum(-1, keepdim=True) * shrink_a * shrink_b).to(product.dtype)
        return self.of_sender(for_a + and_a, product, cosine), self.of_receiver(for_b + and_b, product, cosine)


def _inverse_length(x: Tensor) -> Tensor:
    return (precise(x).square().sum(-1, keepdim=True) + 1e-12).rsqrt()


class SummingNode(nn.Module):
    """What a node becomes: an MLP of the sum of what it hears, and of itself."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = MLP(2 * width, width, width)

    def forward(self, messages: AtEdges, nodes: Nodes, graph: Graph) -> Nodes:
        return self.mlp(graph.sum(messages), nodes)


class GatedNode(nn.Module):
    """What a node becomes of γ sum + (1 − γ) mean of what it hears, γ between 0 and 1 from both of them.

    `as_published` leaves γ unbounded.
    """

    def __init__(self, width: int, as_published: bool = False):
        super().__init__()
        self.as_published = as_published
        self.mlp = MLP(2 * width, width, width)
        self.gate = MLP(4 * width, width, 1, norm=False)

    def forward(self, messages: AtEdges, nodes: Nodes, graph: Graph) -> Nodes:
        total = graph.sum(messages)
        mean = total / graph.degree.to(total.dtype)
        gamma = self.gate(total, nodes, mean, nodes)
        gamma = gamma if self.as_published else gamma.sigmoid()
        return self.mlp(mean + gamma.to(total.dtype) * (total - mean), nodes)


class DampedMessage(Message):
    """A message multiplied by a number between 0 and 1, the mean of three gates of several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__(width)
        hidden = max(16, width // 8)
        self.first_gate = nn.Linear(3 * width, hidden)
        self.second_gate = nn.Linear(hidden, 3 * heads)

    def forward(self, edges: AtEdges, senders: Senders, receivers: Receivers, graph: Graph) -> AtEdges:
        by_edge, by_sender, by_receiver = self.first_gate.weight.chunk(3, dim=1)
        hidden = linear(edges, by_edge, self.first_gate.bias)
        hidden = hidden + graph.from_sender(linear(senders, by_sender))
        hidden = hidden + graph.from_receiver(linear(receivers, by_receiver))
        gates = self.second_gate(silu(hidden)).sigmoid()
        return super().forward(edges, senders, receivers, graph) * gates.mean(-1, keepdim=True)


class AttendingNode(nn.Module):
    """What a node becomes: an MLP of means of what it hears, one a head, each weighted by its own attention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        hidden = max(16, width // 8)
        self.mlp = MLP((heads + 1) * width, width, width)
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, heads)

    def forward(self, messages: AtEdges, nodes: Nodes, graph: Graph) -> Nodes:
        weights = graph.softmax(self.second(silu(self.first(messages)))).to(messages.dtype)
        return self.mlp(*[graph.sum(messages * weight) for weight in weights.split(1, dim=-1)], nodes)


class Layer(nn.Module):
    """One round of speaking and hearing: e ← e + message, x ← x + node."""

    def __init__(self, message: Message, node: nn.Module):
        super().__init__()
        self.message, self.node = message, node

    def forward(self, edges: AtEdges, nodes: Nodes, graph: Graph) -> tuple[AtEdges, Nodes]:
        edges = edges + self.message(edges, nodes, nodes, graph)
        return edges, nodes + self.node(edges, nodes, graph)
