"""Stopping: a signal asks training to write a checkpoint at its next iteration and leave, to be gone on with."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

AGAIN = 75  # the exit status of what should be tried again later: sysexits' EX_TEMPFAIL


class Stopped(SystemExit):
    """Training has written a checkpoint and left, as it was asked to: exit status 75, go on with `resume`."""

    def __init__(self, why: str):
        super().__init__(AGAIN)
        self.why = why


class Stopping:
    """Within it SIGTERM and SIGUSR1 no longer kill, but are remembered in `asked`."""

    def __init__(self) -> None:
        self.asked = ""
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # only there Python may listen to signals
            for name in ("SIGTERM", "SIGUSR1"):
                if hasattr(signal, name):
                    number = getattr(signal, name)
                    self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _remember(self, number: int, frame: FrameType | None) -> None:
        # However often it comes: a scheduler may tell every process, and torchrun tells its own once more.
        self.asked = signal.Signals(number).name
