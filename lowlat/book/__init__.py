"""Order books from snapshots and deltas, read-only views, walks, fees."""
