"""Binance spot: streams, REST snapshots, binary frames."""
