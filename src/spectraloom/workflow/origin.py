"""Who must be named for the data, wherever they are used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spectraloom import datasets
from spectraloom.data.spectra import Spectra


def attribution(spectra: Iterable[Spectra] = (), sources: Iterable[str | Path] = ()) -> str:
    """Attribution of public data sets, and licences that came with other data.

    Parameters
    ----------
    spectra : iterable of Spectra
        Their notes ``attribution`` and ``licence`` are looked at.
    sources : iterable of paths
        Archives, folders, or files in them, that may be a copy or part of a public data set.

    Returns
    -------
    str
        Each attribution once, one a line; empty if none is known.
    """
    found = [_of_source(Path(source)) for source in sources]
    for one in spectra:
        text = str(one.attrs.get("attribution", ""))
        licence = str(one.attrs.get("licence", ""))
        if not text and licence:
            text = next(
                (d.attribution for d in datasets.REGISTRY.values() if d.provider in licence),
                licence,
            )
        found.append(text)
    return "\n".join(dict.fromkeys(text for text in found if text))


def _of_source(path: Path) -> str:
    # The licence lies beside the files or one folder above them.
    places = [path] if path.is_dir() else [path, path.parent]
    known = next(filter(None, map(datasets.recognise, filter(Path.exists, places))), None)
    return "" if known is None else known.attribution
