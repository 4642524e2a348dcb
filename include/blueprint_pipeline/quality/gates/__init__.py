"""Gates: each measures one thing about an episode, and its limit in ``include/config/tiers.yaml`` decides."""
