"""Is a dataset fit for training, forecasting and scoring? What was found, what is needed, and how to mend it."""

from typing import TYPE_CHECKING

from ...vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .finding import Finding
    from .verdict import check, printed, report

__all__ = ["Finding", "check", "printed", "report"]

__getattr__ = lazily(__name__, {"Finding": "finding", "check": "verdict", "printed": "verdict", "report": "verdict"})
