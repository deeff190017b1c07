"""A small configuration of every network of the table, and by how many columns its map of longitude may be turned."""

from __future__ import annotations

from typing import NamedTuple

from oceanx.nn.registry import NetConfig
from oceanx.nn.unet import UNetConfig


class Small(NamedTuple):
    """A Config that is built and run in an instant."""

    config: NetConfig
    turns_by: int | None = None  # columns; None where the network promises nothing of the kind


SMALL = {
    "unet": Small(UNetConfig(widths=(4, 8, 16), groups=2), turns_by=4),
}
