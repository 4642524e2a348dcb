"""The MJCF twin of a scene with a robot in it: mounted, compiled, addressed."""
