"""Linear, as the sandbox plays it."""
