"""Pods of jobs: what goes into them, what they say, how they end."""
