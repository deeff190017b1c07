"""The one exception that means: what you gave us is wrong, and here is how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A user's input is wrong: the message names the thing, what was found and the remedy.

    The command line prints the message on one line and leaves with exit code 2; in Python it is an ordinary
    `ValueError`.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a name that is not in a list, with its nearest match or the whole list."""
    options = sorted(str(item) for item in known)
    near = difflib.get_close_matches(str(name), options, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from: {', '.join(options) or 'nothing is known'}"
    return InputError(f"unknown {kind} {name!r}; {hint}")
