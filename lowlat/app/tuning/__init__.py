"""What the host should look like under a trading engine: check, apply, revert, prove."""
