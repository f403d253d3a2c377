"""Engines and simulators in one thread on a virtual clock."""
