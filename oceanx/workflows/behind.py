"""Work behind one's back: a thread does it in order, and what fails there is raised here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

Work = Callable[[], None]


class Behind:
    """A thread that does what it is given, in order, while its owner goes on; a context.

    Of what was given only `most` pieces wait or are under way: `do` waits for the oldest, so that memory is bounded.
    After a piece that failed nothing more is done: what comes last may rely on all before it. Where the owner fails,
    what it had given is done first.

    Examples
    --------
    >>> with Behind() as behind:
    ...     behind.do(lambda: print("written"))
    written
    """

    def __init__(self, most: int = 2):
        self._most, self._over = most, False
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Behind:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="oceanx-behind")
        return self

    def do(self, work: Work) -> None:
        """Have this done; raises what failed before."""
        self.check()
        while len(self._waiting) >= self._most:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._done, work))

    def check(self) -> None:
        """Raise what has failed so far."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            for future in self._waiting:
                future.result()

    def _done(self, work: Work) -> None:
        if self._over:
            return
        try:
            work()
        except BaseException:
            self._over = True
            raise
