"""Binance spot: JSON streams (``stream``), binary ones (``sbe``), both to ``events``; ``rest``."""
