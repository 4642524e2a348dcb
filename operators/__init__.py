"""What the DAGs say: operators and the builder of the scene flow."""
