"""Shared memory: segments, streams, tables, statistics, and the compiled core under them."""
