"""Curvature of the end of the schedule alone: what is left when all that can be memorized is flat.

Early in a training everything hard is sharply curved, and in a short schedule those epochs outweigh the last ones
in the mean. Pictures that cannot be fitted, one look under two labels, stay curved to the end
(docs/evidence.md: of 50,000 pictures of CIFAR-100 the 18 under two labels are among the first 28).
"""

from __future__ import annotations

from ..records import MeasureInfo

NAME = "late-curvature"
OF = "curvature"
INFO = MeasureInfo("(nat/pixel)^2", "mean of curvature over the last third of the planned epochs", "high")
_SHARE = 3  # the last third of the planned epochs


def rows(planned: int, logged: int) -> slice:
    """Which of the logged epochs (rows) count; none before the schedule has ended."""
    return slice(planned - max(1, round(planned / _SHARE)), planned) if logged >= planned else slice(0, 0)
