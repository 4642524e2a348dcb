"""What a stage is, the flow of all stages, and the runner: lease, verify, run, promote, commit."""
