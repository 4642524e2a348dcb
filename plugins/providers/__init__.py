"""Hooks, triggers and notifiers, one folder a system."""
