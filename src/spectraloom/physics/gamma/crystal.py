"""The crystal of a gamma detector with its housing."""

from __future__ import annotations

from dataclasses import dataclass

from spectraloom.errors import DataError
from spectraloom.physics.gamma.checks import (
    as_layers,
    as_length,
    as_lengths,
    require_material,
)
from spectraloom.physics.gamma.materials import Material

Layer = tuple[str | Material, float]
"""A material or its name, and its thickness in cm."""


@dataclass(frozen=True, slots=True)
class Crystal:
    """A crystal with what is built around it.

    Photons from the source come along the axis into the window.

    Parameters
    ----------
    material : str or Material
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
        If something is of another type, a length is not positive, a layer has no density, or hole
        or dead layer do not fit in.
    LabelError
        If a material is not known.
    """

    material: str | Material = "NaI"
    size: tuple[float, ...] = (7.62, 7.62)
    window: tuple[Layer, ...] = (("Al", 0.05),)
    side: tuple[Layer, ...] = (("Al", 0.05),)
    back: tuple[Layer, ...] = ()
    hole: tuple[float, float] | None = None
    dead_layer: float = 0.0

    def __post_init__(self) -> None:
        put = object.__setattr__
        shape = "(diameter, length) of a cylinder or (width, height, length) of a box"
        put(self, "size", as_lengths("size", self.size, (2, 3), shape))
        require_material(self.material)
        for name in ("window", "side", "back"):
            put(self, name, as_layers(name, getattr(self, name)))
        if isinstance(self.dead_layer, bool) or self.dead_layer != 0.0:
            put(self, "dead_layer", as_length("dead_layer", self.dead_layer))
        width, length = min(self.size[:-1]), self.size[-1]
        if 2.0 * self.dead_layer >= width or self.dead_layer >= length:
            raise DataError(
                f"a dead layer of {self.dead_layer:g} cm leaves nothing of a crystal of size "
                f"{self.size} cm"
            )
        if self.hole is None:
            return
        put(self, "hole", as_lengths("hole", self.hole, (2,), "(diameter, depth)"))
        if len(self.size) != 2:
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
