"""Faults planted in real kept episodes, as a careless or dishonest generator would make them: each looks whole to a reader of the file."""
