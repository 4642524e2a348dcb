"""What is good enough: metrics measure, gates decide, people decide the borderline cases."""
