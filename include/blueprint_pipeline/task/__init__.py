"""What to do in a scene: tasks, goals, start states and when a task has succeeded."""
