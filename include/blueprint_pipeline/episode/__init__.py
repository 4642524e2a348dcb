"""Episodes on disk: recorded, replayed, drawn, certified."""
