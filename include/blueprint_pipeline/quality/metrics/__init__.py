"""Measures of one episode or of a set of episodes: pure functions; what cannot be measured is ``None``."""
