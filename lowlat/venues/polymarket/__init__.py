"""Polymarket CLOB V2: market data, metadata, orders, signatures, answers."""
