"""Engines put together over ports: the same parts for real processes and for the world."""
