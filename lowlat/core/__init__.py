"""The vocabulary: records, units, clocks, ports, errors, config."""
