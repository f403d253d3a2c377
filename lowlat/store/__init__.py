"""Journal and tapes: what outlives shared memory."""
