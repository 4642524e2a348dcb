"""Plans a job: the robot's place, the scene's tasks, and every episode before it is simulated."""
