"""Names that a child and its supervisor agree on; apart, so that neither loads the other."""

from typing import Final

__all__ = ["HALT_GAUGE", "SUPERVISOR"]

SUPERVISOR: Final = "supervisor"
"""Owner of the supervisor's statistics segment, which carries its heartbeat."""
HALT_GAUGE: Final = "halt"
"""Its halt cell: new orders stop while it is not 0."""
