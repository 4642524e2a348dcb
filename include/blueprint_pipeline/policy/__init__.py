"""A policy tried on what was delivered: a baseline from its columns, and successes with intervals."""
