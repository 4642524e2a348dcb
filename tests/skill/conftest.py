"""The small scene with a robot of the motion tests, for skills."""

from tests.motion.conftest import grasp_cache_dir, start_qpos, table_model, table_scene

__all__ = ["grasp_cache_dir", "start_qpos", "table_model", "table_scene"]
