"""Bundles for labs: packed, licensed, signed, delivered, announced, and verified offline."""
