"""Acts a plan out, episode by episode, in shards."""
