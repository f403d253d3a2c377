"""Processes: wiring only, one file a process."""
