"""Robots: their records, their models, and how they are put into a scene."""
