"""Poses, rotations, transforms and array types, with their units and frames."""
