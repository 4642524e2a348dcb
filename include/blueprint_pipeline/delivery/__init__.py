"""Bundles for labs: packed, licensed, signed, delivered, announced, and verifiable offline."""
