"""Telling people: what is written into the outbox of the registry, and the channels over which it is sent."""
