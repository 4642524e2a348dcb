"""Share the small kit."""

from tests.kit.conftest import small_kit

__all__ = ["small_kit"]
