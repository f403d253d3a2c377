"""Kalshi trade API v2: public market data, portfolio answers, socket frames (sans-IO)."""
