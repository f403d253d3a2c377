"""Aggregator, checks in fixed order, limits, sizing."""
