"""Executes kept episodes again, certifies that they replay, and draws them."""
