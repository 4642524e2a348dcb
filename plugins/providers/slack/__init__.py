"""Slack: who is told of what."""
