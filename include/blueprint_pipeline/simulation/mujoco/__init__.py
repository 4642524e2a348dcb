"""The embedded simulator: MuJoCo, on any CPU, deterministic to the last bit."""
