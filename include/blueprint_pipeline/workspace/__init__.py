"""Where scenes lie: storage on any fsspec URL, checksums, and commits that make finished work findable."""
