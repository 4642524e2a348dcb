"""Linear light and display values (sRGB), both in 0..1.

glTF factors, vertex colours and USD's colours are linear; pictures, and the ``rgba`` of MuJoCo, are display values.

Source: IEC 61966-2-1.
"""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_LINEAR_END, _DISPLAY_END = 0.0031308, 0.04045


def to_display(linear: FloatArray) -> FloatArray:
    """Display values of linear ones, any shape."""
    value = np.clip(linear, 0.0, 1.0)
    curved = 1.055 * np.maximum(value, _LINEAR_END) ** (1 / 2.4) - 0.055
    return np.where(value <= _LINEAR_END, value * 12.92, curved)


def to_linear(display: FloatArray) -> FloatArray:
    """Linear values of display ones, any shape."""
    value = np.clip(display, 0.0, 1.0)
    return np.where(value <= _DISPLAY_END, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
