"""Two processes on this machine that do the same work together, as torchrun would have them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

TESTS = Path(__file__).parents[1]


def together(work: str, *words: object, timeout: float = 120) -> list[subprocess.CompletedProcess[str]]:
    """Run Python code in two processes that can reach each other by gloo; `words` are its arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS), "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, "-c", textwrap.dedent(work), *map(str, words)]
    started = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        started[0].wait(timeout)
        started[1].wait(timeout)
    except subprocess.TimeoutExpired:
        pass  # killed, they still say how far they came: a return code of -9
    finally:
        for process in started:
            process.kill()
    said = [process.communicate() for process in started]
    return [
        subprocess.CompletedProcess(command, process.returncode, out, err)
        for process, (out, err) in zip(started, said, strict=True)
    ]
