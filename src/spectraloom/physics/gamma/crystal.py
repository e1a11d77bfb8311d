"""The crystal of a gamma detector with its housing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectraloom.errors import DataError
from spectraloom.physics.gamma.materials import material

Layer = tuple[str, float]
"""Name of a material and thickness in cm."""


@dataclass(frozen=True, slots=True)
class Crystal:
    """A crystal with what is built around it.

    Photons from the source come along the axis into the window.

    Parameters
    ----------
    material : str
        What it is made of, as in :func:`~spectraloom.physics.gamma.material`.
    size : tuple of float
        Diameter and length of a cylinder along the axis, or width, height and length of a box; cm.
    window : tuple of Layer
        Layers before the front face, from outside in.
    side : tuple of Layer
        Layers around the side, from outside in.
    back : tuple of Layer
        Layers behind the crystal, from outside in.
    hole : tuple of float or None
        Diameter and depth of a hole from the back, as in coaxial germanium; cm.
    dead_layer : float
        Part of the crystal at its front and side that gives no signal, cm.

    Raises
    ------
    DataError
        If a length is not positive, a layer has no density, or hole or dead layer do not fit in.
    LabelError
        If a material is not known.
    """

    material: str = "NaI"
    size: tuple[float, ...] = (7.62, 7.62)
    window: tuple[Layer, ...] = (("Al", 0.05),)
    side: tuple[Layer, ...] = (("Al", 0.05),)
    back: tuple[Layer, ...] = ()
    hole: tuple[float, float] | None = None
    dead_layer: float = 0.0

    def __post_init__(self) -> None:
        self._require_lengths("size", self.size)
        if len(self.size) not in (2, 3):
            raise DataError(
                "the size of a crystal is (diameter, length) of a cylinder or (width, height, "
                f"length) of a box, in cm; got {self.size}"
            )
        material(self.material).require_density()
        for name in ("window", "side", "back"):
            for layer in getattr(self, name):
                material(layer[0]).require_density()
            self._require_lengths(name, tuple(layer[1] for layer in getattr(self, name)))
        if not (np.isfinite(self.dead_layer) and self.dead_layer >= 0):
            raise DataError(
                f"dead_layer is a thickness of zero or more, in cm; got {self.dead_layer:g}"
            )
        width, length = min(self.size[:-1]), self.size[-1]
        if 2.0 * self.dead_layer >= width or self.dead_layer >= length:
            raise DataError(
                f"a dead layer of {self.dead_layer:g} cm leaves nothing of a crystal of size "
                f"{self.size} cm"
            )
        if self.hole is None:
            return
        self._require_lengths("hole", self.hole)
        if len(self.size) != 2 or len(self.hole) != 2:
            raise DataError(
                "a hole is (diameter, depth) in a cylinder, in cm; got "
                f"{self.hole} in a crystal of size {self.size}"
            )
        room = (width - 2.0 * self.dead_layer, length - self.dead_layer)
        if self.hole[0] >= room[0] or self.hole[1] >= room[1]:
            raise DataError(
                f"a hole of {self.hole} cm (diameter, depth) does not fit into the active part of "
                f"the crystal, {room[0]:g} by {room[1]:g} cm"
            )

    def _require_lengths(self, name: str, lengths: tuple[float, ...]) -> None:
        if not all(np.isfinite(length) and length > 0 for length in lengths):
            raise DataError(f"{name} needs lengths above zero, in cm; got {getattr(self, name)}")

    @property
    def mean_chord(self) -> float:
        """Mean chord length, 4 V / S, cm (Cauchy); hole and dead layer are not taken out."""
        if len(self.size) == 2:
            radius, length = 0.5 * self.size[0], self.size[1]
            return 2.0 * radius * length / (radius + length)
        width, height, length = self.size
        return 2.0 * width * height * length / (width * height + (width + height) * length)
