"""The house of the code: its rooms in one order, and the picture that is drawn from their imports."""
