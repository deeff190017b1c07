"""A bake in a process that is going to be killed; imported once by the server that such processes are forked from."""

from __future__ import annotations

import time

import numpy as np

import oceanx.data.writing.chunking as chunking
from oceanx.data import baking
from oceanx.data.writing import digest, making

digest.look(np.zeros(9, "f4"))  # what is compiled is loaded before the forks
digest.finite_bits(np.zeros(9, "f4"))


def run(source, target, options, slowly=0.0):
    """Bake with one day a chunk, each block after a pause."""
    chunking._SMALL = 1
    make = making.Job.make

    def slow(self, block):
        time.sleep(slowly)
        make(self, block)

    making.Job.make = slow
    baking.bake("glorys12", source, target, **options)
