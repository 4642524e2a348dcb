"""Plans a job: where the robot stands, which tasks the scene offers, and every episode before anything is simulated."""
