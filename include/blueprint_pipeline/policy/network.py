"""A multilayer perceptron in NumPy, trained with Adam on the mean absolute error: small enough for a few CPU minutes.

Source: Kingma and Ba, "Adam: A method for stochastic optimization" (2015).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Batch = tuple[Float32, Float32]
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


@dataclass
class Network:
    """Weights and biases, layer by layer; ReLU between them."""

    weights: list[Float32]
    biases: list[Float32]

    def predict(self, inputs: Float32) -> Float32:
        """Outputs (b, m) for inputs (b, n)."""
        return self._layers(inputs)[-1]

    def _layers(self, inputs: Float32) -> list[Float32]:
        values = [inputs]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = values[-1] @ weight + bias
            values.append(out if index == len(self.weights) - 1 else np.maximum(out, 0.0))
        return values

    def gradients(self, inputs: Float32, wanted: Float32) -> list[Float32]:
        """Of the mean absolute error, in the order of :attr:`parameters`."""
        values = self._layers(inputs)
        slope = np.sign(values[-1] - wanted) / np.float32(wanted.size / wanted.shape[1])
        weights: list[Float32] = []
        biases: list[Float32] = []
        for index in range(len(self.weights) - 1, -1, -1):
            weights.insert(0, values[index].T @ slope)
            biases.insert(0, slope.sum(axis=0))
            if index:
                slope = (slope @ self.weights[index].T) * (values[index] > 0)
        return [*weights, *biases]

    @property
    def parameters(self) -> list[Float32]:
        """Weights, then biases; changed in place by training."""
        return [*self.weights, *self.biases]


def build_network(sizes: tuple[int, ...], rng: np.random.Generator) -> Network:
    """He's initialisation for layers of these sizes, inputs first."""
    weights = [(rng.standard_normal((before, after)) * np.sqrt(2 / before)).astype(np.float32) for before, after in pairwise(sizes)]
    return Network(weights, [np.zeros(size, dtype=np.float32) for size in sizes[1:]])


def train(network: Network, draw: Callable[[], Batch], *, steps: int, rate: float) -> None:
    """Adam with a rate that falls to nothing along a cosine, on batches that ``draw`` gives."""
    values = network.parameters
    means, squares = [np.zeros_like(value) for value in values], [np.zeros_like(value) for value in values]
    for step in range(1, steps + 1):
        now = rate * 0.5 * (1 + np.cos(np.pi * step / steps)) * np.sqrt(1 - _SECOND**step) / (1 - _FIRST**step)
        for index, slope in enumerate(network.gradients(*draw())):
            means[index] += (1 - _FIRST) * (slope - means[index])
            squares[index] += (1 - _SECOND) * (slope * slope - squares[index])
            values[index] -= np.float32(now) * means[index] / (np.sqrt(squares[index]) + np.float32(_TINY))
