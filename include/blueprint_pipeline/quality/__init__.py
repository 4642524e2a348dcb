"""What is good enough: metrics that are measured, gates that decide, people who decide the rest, and reasons for everybody."""
