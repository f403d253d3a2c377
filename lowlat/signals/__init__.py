"""Signal modules, one file each, and the engine that calls them."""
