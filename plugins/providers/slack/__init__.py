"""Slack: who is notified of what."""
