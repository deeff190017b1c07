"""A warning points at the line that called the package, however deep inside it was raised."""

from __future__ import annotations

import warnings

from oceanx.vocabulary.caution import caution


def test_the_warning_names_the_callers_line():
    inner: dict[str, object] = {"__name__": "oceanx.somewhere.deep", "caution": caution}
    exec("def deep():\n    caution('mind')\ndef deeper():\n    deep()", inner)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inner["deeper"]()  # type: ignore[operator]
        caution("here")
    assert [str(w.message) for w in caught] == ["mind", "here"]
    assert {w.filename for w in caught} == {__file__}
    assert all(issubclass(w.category, UserWarning) for w in caught)
