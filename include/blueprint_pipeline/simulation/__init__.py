"""The simulator protocol and the backends that implement it."""
