"""Takes recorded episodes in: complete, whole, and as planned."""
