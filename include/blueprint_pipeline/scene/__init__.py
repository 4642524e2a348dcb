"""Scenes: taken in from a reconstruction, checked, given physics, assembled as USD and MJCF, and settled."""
