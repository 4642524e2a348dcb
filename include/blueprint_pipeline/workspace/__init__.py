"""Where scenes lie: storage on any fsspec URL, checksums, and the commits of finished work."""
