"""What a robot can do: one file a skill, with its planner and its success predicate."""
