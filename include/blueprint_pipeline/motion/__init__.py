"""Motion: grasps, inverse kinematics, collision, paths, timing, and pick-and-place made of them."""
