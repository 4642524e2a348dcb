"""Blueprint: a data factory for robot learning, from a reconstructed scene to a delivered dataset."""

__version__ = "0.1.0"
