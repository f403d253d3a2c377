"""Order books as integers: ladders, images of them in shared memory, views, fees, events."""
