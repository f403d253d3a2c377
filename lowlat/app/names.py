"""Names that a child and its supervisor agree on; apart, so that neither loads the other."""

from typing import Final

__all__ = [
    "GENERATION",
    "HALT_GAUGE",
    "HOLD_GAUGE",
    "RESUMES",
    "SETTLEMENT",
    "SUPERVISOR",
    "generation_word",
]

SUPERVISOR: Final = "supervisor"
"""Owner of the supervisor's statistics segment, which carries its heartbeat."""
SETTLEMENT: Final = "settlement"
"""The process that merges and redeems, see settling.py."""
HALT_GAUGE: Final = "halt"
"""Its halt cell: new orders stop while it is not 0."""
HOLD_GAUGE: Final = "hold"
"""Its second cell: new orders wait while processes are between two config generations."""
RESUMES: Final = "resumes"
"""How often a person lifted halts; a process that sees it grow lifts its own."""
GENERATION: Final = "generation"
"""A process' own gauge: the config generation that it runs on."""


def generation_word(process: str) -> str:
    """Return the supervisor's gauge that says which generation a process shall run on."""
    return f"{GENERATION}.{process}"
