"""Engines put together over ports: the same parts for real processes and for the world.

``process`` makes the engines of one process, ``stages`` one engine each, ``trading`` those that
decide. ``capture`` writes down all that they are given, for a replay.
"""
