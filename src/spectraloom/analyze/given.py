"""What estimators are given: labels of training spectra, and settings as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from spectraloom._typing import Array
from spectraloom.data.columns import label_sets
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError, LabelError

_NUMBER = (int, float, np.integer, np.floating)


def labels_of(X: Any, y: Any, n: int) -> Array | None:
    """Label sets of training spectra, from `y` or the column ``labels``; None without any.

    Raises
    ------
    FitError
        If the number of labels differs from `n`.
    LabelError
        If some spectra have none.
    """
    if y is None:
        if not isinstance(X, Spectra) or "labels" not in X.columns:
            return None
        y = X.labels
    elif not isinstance(y, (list, tuple)):
        try:
            y = column_or_1d(y, warn=True)
        except (TypeError, ValueError) as error:
            raise FitError(f"y holds one label or label set per spectrum: {error}") from error
    labels = label_sets(_label_set(entry) for entry in y)
    if len(labels) != n:
        raise FitError(f"there are {n} spectra, but {len(labels)} labels")
    empty = sum(not entry for entry in labels)
    if empty:
        raise LabelError(
            f"{empty} of {n} training spectra have no label: leave them out, or drop all labels "
            "and give n_components"
        )
    return labels


def _label_set(entry: Any) -> tuple[str, ...]:
    """Labels of one spectrum, each once; none for what stands for a missing value."""
    if isinstance(entry, (set, frozenset)):
        entry = sorted(entry)
    if not isinstance(entry, (tuple, list, np.ndarray)):
        entry = () if entry is None or entry != entry else (entry,)
    texts = (one.decode() if isinstance(one, bytes) else str(one) for one in entry)
    return tuple(dict.fromkeys(text for text in texts if text))


def numeric_type(y: Any) -> np.dtype[Any] | None:
    """Type of labels that are numbers, else None."""
    if y is None or (isinstance(y, (list, tuple)) and not all(map(is_number, y))):
        return None
    given = np.asarray(y)
    if given.dtype.kind == "O" and all(map(is_number, given)):
        given = np.asarray(given.tolist())
    return given.dtype if given.dtype.kind in "iuf" else None


def is_number(value: Any) -> bool:
    """Whether a value is a real number and no boolean."""
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def of_one_source(spectra: Spectra, labels: Array, background: str | None) -> Spectra:
    """Spectra with exactly one label, which is a source, as their column ``labels``.

    Parameters
    ----------
    spectra : Spectra
    labels : ndarray of label sets
    background : str or None
        Name that is no source.
    """
    single = np.asarray([entry[0] if len(entry) == 1 else "" for entry in labels])
    rows = (single != "") & (single != str(background))
    columns = {**spectra.columns, "labels": label_sets(single.tolist())}
    return spectra.replace(columns=columns)[rows]


def plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a model as JSON types."""
    plain: dict[str, Any] = {}
    for name, value in settings.items():
        plain[name] = value.item() if isinstance(value, np.generic) else value
        if name == "window" and value is not None:
            plain[name] = [float(edge) for edge in value]
    return plain


def given_settings(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a model from what :func:`plain_settings` gave."""
    settings = dict(plain)
    if settings.get("window") is not None:
        settings["window"] = tuple(settings["window"])
    return settings
