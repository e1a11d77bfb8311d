"""Library: named templates on one axis, several variants per name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError, LabelError


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Library:
    """Reference spectra to explain others with.

    Parameters
    ----------
    templates : array_like, shape (n_templates, n_channels)
        Real and finite.
    axis : Axis
        The axis of all templates.
    names : sequence of str, length n_templates
        What each template stands for; the same name again is a further variant.
    variants : sequence of str, optional
        Tells the variants of a name apart, e.g. ``"Pb 2 mm"``.
    weights : array_like, shape (n_templates,), optional
        Counts (or spectra) that each template was averaged from.

    Raises
    ------
    DataError
        If shapes do not agree, or a name has the same variant twice.
    """

    templates: FloatArray
    axis: Axis
    names: tuple[str, ...]
    variants: tuple[str, ...] = ()
    weights: FloatArray | None = None

    def __post_init__(self) -> None:
        templates = np.array(self.templates, dtype=np.float64, ndmin=2)
        n = len(templates)
        names = tuple(str(name) for name in self.names)
        variants = tuple(str(variant) for variant in self.variants) or _number_variants(names)
        if templates.ndim != 2 or len(names) != n or len(variants) != n:
            raise DataError(
                f"a library needs one name and one variant per template, got templates of shape "
                f"{templates.shape}, {len(names)} names and {len(variants)} variants"
            )
        if templates.shape[1] != self.axis.n_channels:
            raise AxisError(
                f"the templates have {templates.shape[1]} channels, the axis has "
                f"{self.axis.describe()}"
            )
        if not np.isfinite(templates).all():
            raise DataError("templates hold finite numbers only")
        if len(set(zip(names, variants, strict=True))) != n:
            raise DataError("a name has two templates with the same variant")
        templates.flags.writeable = False
        object.__setattr__(self, "templates", templates)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "variants", variants)
        if self.weights is not None:
            weights = np.array(self.weights, dtype=np.float64)
            if weights.shape != (n,):
                raise DataError(f"weights have shape {weights.shape}, expected ({n},)")
            weights.flags.writeable = False
            object.__setattr__(self, "weights", weights)

    @staticmethod
    def from_spectra(
        spectra: Spectra, *, variants: str | None = None, labels: str = "labels"
    ) -> Library:
        """Mean spectrum of each label, and of each value of a column within it.

        Parameters
        ----------
        spectra : Spectra
            Each with exactly one label.
        variants : str, optional
            Column whose values split a label into variants, e.g. ``"absorber"``.
        labels : str
            Column that holds the labels.

        Raises
        ------
        LabelError
            If a column is absent.
        DataError
            If a spectrum has no label or several.
        """
        names = single_labels(spectra, labels)
        if not len(spectra):
            raise DataError("there are no spectra to make a library of")
        kinds = spectra.column(variants).astype(str) if variants else np.full(len(spectra), "")
        keys = sorted(set(zip(names.tolist(), kinds.tolist(), strict=True)))
        masks = [(names == name) & (kinds == kind) for name, kind in keys]
        return Library(
            np.stack([spectra.values[mask].mean(axis=0, dtype=np.float64) for mask in masks]),
            spectra.axis,
            tuple(name for name, _ in keys),
            tuple(kind for _, kind in keys),
            np.array([mask.sum() for mask in masks], dtype=float),
        )

    @staticmethod
    def simulate(
        nuclides: Sequence[str],
        detector: Any,
        absorbers: Sequence[Any] = (None,),
        **settings: Any,
    ) -> Library:
        """Templates out of the simulator: :func:`spectraloom.generate.simulate_library`.

        Parameters
        ----------
        nuclides : sequence of str
            E.g. ``["Cs-137", "Co-60", "background"]``.
        detector : str or GammaDetector
            E.g. ``"NaI 3x3"``; see :func:`spectraloom.physics.gamma.detectors`.
        absorbers : sequence
            Layers around the source, ``("Pb", 0.2)`` (material and cm) or ``"Pb 0.2"``, or None.
        **settings
            As ``simulate_library`` takes them.

        Raises
        ------
        LabelError
            If a nuclide or a material is unknown.
        DataError
            If nothing is asked for, or next to nothing passes an absorber.
        """
        # Where users look for it; by name, as this floor knows none above it.
        made = importlib.import_module("spectraloom.generate").simulate_library
        return cast("Library", made(nuclides, detector, absorbers, **settings))

    @property
    def unique_names(self) -> tuple[str, ...]:
        """Each name once, in order of first appearance."""
        return tuple(dict.fromkeys(self.names))

    @property
    def groups(self) -> IntArray:
        """For each template the position of its name in :attr:`unique_names`."""
        position = {name: i for i, name in enumerate(self.unique_names)}
        return np.array([position[name] for name in self.names], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<Library: {len(self)} templates of {', '.join(self.unique_names)} on "
            f"{self.axis.describe()}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and what worker processes receive, are read-only, too.
        return Library, (self.templates, self.axis, self.names, self.variants, self.weights)

    def select(self, names: Sequence[str]) -> Library:
        """Library with some names only.

        Raises
        ------
        LabelError
            If a name is not there.
        """
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise LabelError(
                f"the library has no {', '.join(unknown)}; it has {', '.join(self.unique_names)}"
            )
        keep = np.flatnonzero([name in set(names) for name in self.names])
        return Library(
            self.templates[keep],
            self.axis,
            tuple(self.names[i] for i in keep),
            tuple(self.variants[i] for i in keep),
            None if self.weights is None else self.weights[keep],
        )


def single_labels(spectra: Spectra, column: str = "labels") -> Array:
    """The one label of each spectrum, a text array.

    Raises
    ------
    LabelError
        If there is no such column.
    DataError
        If a spectrum has no label or several.
    """
    values = spectra.column(column)
    if values.dtype != object:
        return values.astype(np.str_)
    wrong = [row for row, entry in enumerate(values) if len(entry) != 1]
    if wrong:
        raise DataError(
            f"{len(wrong)} of {len(spectra)} spectra do not have exactly one label; the first is "
            f"spectrum {wrong[0]} with {list(values[wrong[0]])}"
        )
    return np.asarray([entry[0] for entry in values], dtype=np.str_)


def _number_variants(names: Sequence[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append("" if names.count(name) == 1 else str(seen[name]))
    return tuple(numbered)
