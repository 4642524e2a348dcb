"""What bundles carry to execute, judge and try episodes with NumPy and mujoco alone.

Nothing here imports anything of ours: replay kits hold a copy of this folder, so that a lab's machine runs the very lines that simulated
and judged here.
"""
