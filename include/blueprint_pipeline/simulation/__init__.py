"""The simulator protocol, the backends that keep it, and the stages that make episodes."""
