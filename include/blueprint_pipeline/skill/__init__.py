"""What a robot can do: planners and success predicates, one file a skill."""
