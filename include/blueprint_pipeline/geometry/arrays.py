"""Names of array types. Shapes stand in the docstrings of who uses them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ImageArray = NDArray[np.uint8]
