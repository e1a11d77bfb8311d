"""Libraries with several templates per name, chosen from labelled spectra."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.given import of_one_source
from spectraloom.analyze.identify.smoothing import smooth_counts
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.loadings import loadings_without_labels, split_into_variants
from spectraloom.data.library import Library, single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError, LabelError

_PARTS = 4  # per source, where no number is given


def variant_library(
    spectra: Spectra,
    variants: int | str = 4,
    *,
    window: tuple[float, float] | None = None,
    background: str | None = "background",
    seed: int | None = 0,
) -> Library:
    """Mean spectra of groups of alike spectra within each label.

    A source behind different absorbers has different spectra, and one mean explains none of them.
    Groups are found by k-means, or given; ``nmf`` takes no groups but the parts of a non-negative
    factorisation under the Poisson likelihood, whose mixtures are the spectra of the label. Parts
    reach further than means do: to spectra beyond the most extreme ones, too.

    Parameters
    ----------
    spectra : Spectra
        One label each.
    variants : int or str
        Groups per source, found by k-means on the square roots of unit-area spectra; ``"nmf:2"``
        for two parts per source (``"nmf"`` for four); or the name of a column whose values are
        the groups, such as ``"absorber"``.
    window : (float, float), optional
        Part of the axis that tells groups apart.
    background : str, optional
        Label that is not split.
    seed : int or None
        Seed of the clustering.

    Returns
    -------
    Library
        Weights are the counts that a template was averaged from, or explains.

    Raises
    ------
    DataError
        If a spectrum does not have exactly one label, the number is below one, or all spectra of
        a label are empty.
    FitError
        If spectra of which parts are asked for hold negative values.
    LabelError
        If there is no such column.

    References
    ----------
    Parts: D. D. Lee, H. S. Seung, Nature 401 (1999) 788, doi:10.1038/44565.
    """
    labels = single_labels(spectra)
    n_parts = parts_asked_for(variants)
    if n_parts is not None:
        return _library_of_parts(spectra, labels, n_parts, window, background, seed)
    channels = slice(0, spectra.n_channels) if window is None else spectra.axis.window(*window)
    if isinstance(variants, str):
        keys = spectra.column(variants).astype(np.str_)
    elif variants < 1:
        raise DataError(f"there is at least one variant per name, got {variants}")
    else:
        keys = np.full(len(spectra), "", dtype="<U12")
        for name in np.unique(labels):
            members = np.flatnonzero(labels == name)
            if name != background and variants > 1:
                number = split_into_variants(spectra.values[members], variants, channels, seed)
                keys[members] = (number + 1).astype(np.str_)
    if background is not None:
        keys = np.where(labels == background, "", keys)
    pairs = sorted(set(zip(labels.tolist(), keys.tolist(), strict=True)))
    if not pairs:
        raise LabelError("there are no labelled spectra to make a library of")
    sums = np.stack(
        [
            spectra.values[(labels == name) & (keys == key)].sum(axis=0, dtype=np.float64)
            for name, key in pairs
        ]
    )
    areas = sums.sum(axis=1)
    kept = areas > 0  # a group of empty spectra is no variant
    lost = {name for name, _ in pairs} - {pairs[row][0] for row in np.flatnonzero(kept)}
    if lost:
        raise DataError(f"all spectra of {', '.join(sorted(lost))} are empty")
    return Library(
        sums[kept],
        spectra.axis,
        tuple(name for (name, _), keep in zip(pairs, kept, strict=True) if keep),
        tuple(key for (_, key), keep in zip(pairs, kept, strict=True) if keep),
        areas[kept],
    )


def parts_asked_for(variants: int | str) -> int | None:
    """Number of parts per source that ``"nmf"`` or ``"nmf:4"`` asks for; None for other variants.

    Raises
    ------
    DataError
        If it is no number of at least one.
    """
    if not isinstance(variants, str) or variants.partition(":")[0] != "nmf":
        return None
    _, colon, number = variants.partition(":")
    if not colon:
        return _PARTS
    if not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise DataError(
            f"variants by factorisation are 'nmf:' and a number of at least one, got {variants!r}"
        )
    return int(number)


def _library_of_parts(
    spectra: Spectra,
    labels: Array,
    n_parts: int,
    window: tuple[float, float] | None,
    background: str | None,
    seed: int | None,
) -> Library:
    """Parts of the spectra of each label, scaled to the counts that they explain."""
    channels = slice(0, spectra.n_channels) if window is None else spectra.axis.window(*window)
    templates: list[FloatArray] = []
    names: list[str] = []
    numbers: list[str] = []
    for name in np.unique(labels).tolist():
        values = np.asarray(spectra.values[labels == name], dtype=np.float64)
        values = values[values.sum(axis=1) > 0]
        if not len(values):
            raise DataError(f"all spectra of {name} are empty")
        wanted = 1 if name == background else n_parts
        parts = explained_parts(values, wanted, channels, seed)
        templates += [*parts]
        names += [name] * len(parts)
        numbers += [str(number + 1) if len(parts) > 1 else "" for number in range(len(parts))]
    if not names:
        raise LabelError("there are no labelled spectra to make a library of")
    stacked = np.stack(templates)
    return Library(stacked, spectra.axis, tuple(names), tuple(numbers), stacked.sum(axis=1))


def explained_parts(
    values: FloatArray, n_parts: int, fitted: slice, seed: int | None
) -> FloatArray:
    """Parts whose mixtures are some spectra; together they add up to about their sum.

    The amounts of the parts are learned in the channels that are fitted; the other channels then
    have the parts that go with these amounts.

    Parameters
    ----------
    values : ndarray, shape (n, n_channels)
        None of them empty.
    n_parts : int
        At most as many parts as different spectra come out.
    fitted : slice
        Channels that tell parts apart.
    seed : int or None
        Seed of the factorisation.

    Returns
    -------
    ndarray, shape (k, n_channels)
    """
    inner = values[:, fitted]
    n_parts = min(n_parts, *inner.shape, len(np.unique(inner, axis=0)))
    if n_parts < 2 or not inner.any():
        return np.asarray(values.sum(axis=0)[np.newaxis])
    # Strong spectra would decide alone: each counts as its shape, with the noise of the mean.
    scaled = inner * (inner.sum(axis=1).mean() / np.maximum(inner.sum(axis=1), 1.0))[:, np.newaxis]
    parts = loadings_without_labels(scaled, n_parts, seed)
    amounts = nnls(inner, parts)
    used = amounts.sum(axis=0) > 0
    amounts = amounts[:, used]
    whole = nnls(values.T, amounts.T).T
    whole = whole * amounts.sum(axis=0)[:, np.newaxis]
    return np.asarray(whole[whole.sum(axis=1) > 0])


def single_sources(spectra: Spectra, labels: Array | None, background: str | None) -> Spectra:
    """Spectra that have exactly one label which is a source, as their column ``labels``.

    Raises
    ------
    FitError
        If there are none.
    """
    if labels is None:
        raise FitError(
            "Identifier requires y to be passed, but the target y is None: give labelled "
            "spectra, or a library and spectra of the background"
        )
    chosen = of_one_source(spectra, labels, background)
    if not len(chosen):
        several = [entry for entry in labels if len(entry) > 1]
        raise FitError(
            "there is no spectrum with exactly one source, and no other label, to make a library "
            "of"
            + (
                f": {len(several)} of {len(labels)} have several labels, such as "
                f"{'|'.join(several[0])}. A template is a source without background: take spectra "
                "in which background does not count (or subtract it), and label them with the "
                "source alone; background has spectra of its own"
                if several
                else ""
            )
        )
    return chosen


def require_background(labels: Array | None, name: str | None) -> None:
    """Say why there is no template of the background, if there should be one.

    Raises
    ------
    FitError
        If the background has a name.
    """
    if name is None:
        return
    rows = [] if labels is None else labels.tolist()
    found = sorted({entry for row in rows for entry in row})
    alone = labels is None or any(tuple(row) == (name,) for row in rows)
    why = (
        f"the spectra of {name!r} hold no counts"
        if alone
        else f"no spectrum is labelled {name!r} alone; labels are {', '.join(found) or 'empty'}"
    )
    raise FitError(
        f"there is nothing to learn the background from: {why}. Give spectra of background, the "
        "name that they have (background=...), or background=None if there is none"
    )


def background_library(
    spectra: Spectra,
    labels: Array | None,
    name: str,
    components: int = 1,
    seed: int | None = 0,
) -> Library | None:
    """Templates of the spectra that are background alone, or of all without labels.

    On a calibrated axis, where templates move with the gain, counts are smoothed
    (:func:`~spectraloom.analyze.identify.smoothing.smooth_counts`): noise would pretend to know
    the gain. Their sum stays.

    Parameters
    ----------
    spectra : Spectra
    labels : ndarray of label sets, optional
    name : str
        Label of the background.
    components : int
        1 takes the sum. More let the shape vary, as radon and surroundings do: a non-negative
        factorisation under the Poisson likelihood, whose parts add up to the sum.
    seed : int or None
        Seed of the factorisation.

    Returns
    -------
    Library or None
        None if there are no counts. Weights are the counts that a template was learned from, where
        they are known.
    """
    rows = np.ones(len(spectra), dtype=bool)
    if labels is not None:
        rows = np.array([tuple(entry) == (name,) for entry in labels], dtype=bool)
    values = np.asarray(spectra.values[rows], dtype=np.float64)
    total = values.sum(axis=0)
    if not total.any():
        return None
    whole = spectra.kind == "counts" and bool((values == np.floor(values)).all())
    moving = whole and spectra.axis.is_calibrated
    if components == 1 or len(values) <= components:
        template = smooth_counts(total) if moving else total
        return Library(template[np.newaxis], spectra.axis, (name,), (), _counted(spectra[rows]))
    parts = loadings_without_labels(values, components, seed)
    amounts = nnls(values, parts).sum(axis=0)
    kept = amounts > 0
    variants = tuple(str(number + 1) for number in np.flatnonzero(kept))
    templates = (parts * amounts[:, np.newaxis])[kept]
    if moving:
        templates = np.stack([smooth_counts(template) for template in templates])
    counted, areas = _counted(spectra[rows]), templates.sum(axis=1)
    weights = None if counted is None else counted * areas / areas.sum()
    return Library(templates, spectra.axis, (name,) * len(templates), variants, weights)


def _counted(spectra: Spectra) -> FloatArray | None:
    """Counts with the relative variance of the sum of some spectra, shape (1,), if known."""
    values, variance = spectra.values, spectra.variance
    if spectra.kind == "counts":
        return np.array([values.sum(dtype=np.float64)])
    if variance is None and spectra.kind == "rate" and spectra.live_time is not None:
        seconds = np.where(spectra.live_time > 0, spectra.live_time, np.inf)
        variance = values / seconds[:, np.newaxis]
    if variance is None or not variance.sum() > 0:
        return None
    return np.array([values.sum(dtype=np.float64) ** 2 / variance.sum(dtype=np.float64)])
