"""Where an instance's ledger is."""

from lowlat.app.config import EngineConfig
from lowlat.app.state import state_dir

__all__ = ["ledger_url"]


def ledger_url(config: EngineConfig) -> str:
    """Return the configured URL, else that of a file beside the journal."""
    folder = state_dir(config.instance, make=False)
    return config.ledger.url or f"sqlite:///{folder}/ledger.db"
