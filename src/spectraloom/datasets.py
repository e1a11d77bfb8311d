"""Public data sets: where they are, what they must hash to, and who must be named for them.

Nothing is downloaded on import. A local copy under the folder that the environment variable
``SPECTRALOOM_DATA_DIR`` names is looked at first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from spectraloom._lazy import optional
from spectraloom.data import Spectra
from spectraloom.errors import LabelError, SpectraloomError
from spectraloom.io import read_groups
from spectraloom.io.source import Source
from spectraloom.io.zip_guard import member_names, open_zip, read_member

__all__ = ["REGISTRY", "DataSet", "attribution", "fetch", "load", "recognise"]

DATA_DIR_VARIABLE = "SPECTRALOOM_DATA_DIR"
_LICENCE_FILE = "data_license"
_MOST_LICENCE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class DataSet:
    """A public data set that is checked by its hash.

    Parameters
    ----------
    name : str
        Name it is fetched by; also the folder looked for under ``SPECTRALOOM_DATA_DIR``.
    file : str
        Name of the file.
    url : str
        Where it is downloaded from.
    sha256 : str
        What it must hash to.
    licence : str
        Name of the licence, and where its text is.
    attribution : str
        To be shown wherever the data are used.
    citation : str
        The publication that describes the data.
    provider : str
        As the licence file in the data names it; by it a copy is recognised.
    """

    name: str
    file: str
    url: str
    sha256: str
    licence: str
    attribution: str
    citation: str
    provider: str


_GAMMA_FLOW_COMMIT = "f531e0241d4c5e14f370c89946828d375b0c7a78"

REGISTRY: MappingProxyType[str, DataSet] = MappingProxyType(
    {
        "gamma_flow": DataSet(
            name="gamma_flow",
            file="example_dataset.zip",
            url=(
                "https://raw.githubusercontent.com/Schlavioner/gamma_flow/"
                f"{_GAMMA_FLOW_COMMIT}/example_dataset.zip"
            ),
            sha256="748abd533c4fa9f8a875f270d7ccae64b9a2af82456ca190d0ef0e72f1b50040",
            licence=(
                "Data licence Germany - attribution - version 2.0 (dl-de/by-2-0), "
                "www.govdata.de/dl-de/by-2-0"
            ),
            attribution=(
                "Gamma spectra: Federal Office for Radiation Protection (BfS), Berlin, Germany; "
                "Data licence Germany - attribution - version 2.0 (www.govdata.de/dl-de/by-2-0); "
                "https://github.com/Schlavioner/gamma_flow, example_dataset.zip; altered by the "
                "provider: measured spectra were shifted by one channel to match the energy "
                "calibration of the simulated spectra"
            ),
            citation=(
                "V. Raedle, T. Hartwig, B. Oesen, E. A. Kroeger, J. Vogt, E. Gericke, M. Baron: "
                "GAMMA_FLOW: Guided Analysis of Multi-label spectra by MAtrix Factorization for "
                "Lightweight Operational Workflows, 2025, arXiv:2511.09326"
            ),
            provider="Federal Office for Radiation Protection",
        )
    }
)


def fetch(name: str) -> Path:
    """Path of a data set, downloaded and checked if there is no local copy.

    Looked at in this order: ``SPECTRALOOM_DATA_DIR`` (the file itself there or in a folder of the
    data set's name, else the one zip archive in that folder, else that folder if it holds ``.npy``
    files), the cache of earlier downloads, the network. A local copy is used as it is; a download
    must have the published hash.

    Parameters
    ----------
    name : str
        One of :data:`REGISTRY`.

    Raises
    ------
    LabelError
        If there is no data set of this name.
    SpectraloomError
        If it is not there and cannot be downloaded, or what was downloaded is not it.
    """
    dataset = _known(name)
    local = _local_copy(dataset)
    if local is not None:
        return local
    pooch = optional("pooch", extra="scale")
    try:
        path = pooch.retrieve(
            url=dataset.url,
            known_hash=f"sha256:{dataset.sha256}",
            fname=dataset.file,
            path=pooch.os_cache("spectraloom") / dataset.name,
        )
    except ValueError as error:
        raise SpectraloomError(
            f"the data set {name!r} from {dataset.url} does not have the published SHA-256 "
            f"{dataset.sha256}: it was not kept; try again, or set {DATA_DIR_VARIABLE} to a folder "
            f"that holds {dataset.file}"
        ) from error
    except OSError as error:
        raise SpectraloomError(
            f"the data set {name!r} is not here and cannot be downloaded "
            f"({type(error).__name__}): connect to the network, or download {dataset.url} and set "
            f"{DATA_DIR_VARIABLE} to the folder that holds {dataset.file}"
        ) from error
    return Path(path)


def load(name: str) -> list[Spectra]:
    """Spectra of a data set, one Spectra per axis, with ``attrs["attribution"]``.

    Parameters
    ----------
    name : str
        One of :data:`REGISTRY`.

    Raises
    ------
    SpectraloomError
        As :func:`fetch`, or if the files cannot be read.
    """
    dataset = _known(name)
    notes = {"attribution": dataset.attribution, "citation": dataset.citation}
    return [
        spectra.replace(attrs={**spectra.attrs, **notes}) for spectra in read_groups(fetch(name))
    ]


def attribution(name: str) -> str:
    """Who must be named wherever the data are used, and for what.

    Raises
    ------
    LabelError
        If there is no data set of this name.
    """
    return _known(name).attribution


def recognise(path: str | Path) -> DataSet | None:
    """Data set that a zip archive or folder is a copy or a part of, by the licence file in it.

    Parameters
    ----------
    path : str or Path
        Archive or folder.

    Returns
    -------
    DataSet or None
        None if it holds no such licence file.
    """
    text = _licence_text(Path(path))
    for dataset in REGISTRY.values():
        if dataset.provider in text:
            return dataset
    return None


def _known(name: str) -> DataSet:
    try:
        return REGISTRY[name]
    except KeyError:
        raise LabelError(
            f"there is no data set {name!r}; known: {', '.join(sorted(REGISTRY))}"
        ) from None


def _local_copy(dataset: DataSet) -> Path | None:
    named = os.environ.get(DATA_DIR_VARIABLE)
    if not named:
        return None
    folder = Path(named) / dataset.name
    for place in (Path(named) / dataset.file, folder / dataset.file):
        if place.is_file():
            return place
    if not folder.is_dir():
        return None
    archives = sorted(folder.glob("*.zip"))
    if len(archives) > 1:
        raise SpectraloomError(
            f"{folder} holds {len(archives)} archives and none is named {dataset.file}: leave one"
        )
    if archives:
        return archives[0]
    return folder if any(folder.rglob("*.npy")) else None


def _licence_text(path: Path) -> str:
    try:
        if path.is_dir():
            files = [place / _LICENCE_FILE for place in (path, path.parent)]
            file = next((file for file in files if file.is_file()), None)
            if file is None:
                return ""
            with file.open("rb") as stream:
                return stream.read(_MOST_LICENCE_BYTES).decode("utf-8", errors="replace")
        source = Source.from_path(path)
        name = next((n for n in member_names(source) if Path(n).name == _LICENCE_FILE), None)
        if name is None:
            return ""
        with open_zip(source) as archive:
            return read_member(archive, name, source).decode("utf-8", errors="replace")
    except (OSError, SpectraloomError):
        return ""
