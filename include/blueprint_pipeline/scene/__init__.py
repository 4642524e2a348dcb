"""Scenes: ingested, checked, given physics, assembled as USD and MJCF, and settled."""
