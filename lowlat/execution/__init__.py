"""Templates, order state machine, groups, reconciliation."""
