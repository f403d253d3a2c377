"""The venues on loopback, verified by other code than the engine's."""
