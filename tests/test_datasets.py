"""Public data sets: local copies first, downloads checked, the provider named."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from spectraloom import datasets
from spectraloom.errors import LabelError, SpectraloomError


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def example_zip(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    np.save(folder / "a.npy", np.arange(8).reshape(2, 4))
    with zipfile.ZipFile(folder / "example_dataset.zip", "w") as archive:
        archive.write(folder / "a.npy", "1_numpy_raw/a.npy")
        archive.writestr(
            "data_license", "Provider: Federal Office for Radiation Protection, Berlin"
        )
    return folder / "example_dataset.zip"


@pytest.fixture
def served(
    example_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The registry's data set, published by a server of our own; gives the requests it got."""
    requests: list[str] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            super().do_GET()

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(example_zip.parent))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(datasets.DATA_DIR_VARIABLE, raising=False)
    publish(
        monkeypatch,
        url=f"http://127.0.0.1:{server.server_port}/example_dataset.zip",
        sha256=hashlib.sha256(example_zip.read_bytes()).hexdigest(),
    )
    yield requests
    server.shutdown()
    thread.join()
    server.server_close()


def publish(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    changed = replace(datasets.REGISTRY["gamma_flow"], **changes)
    monkeypatch.setattr(datasets, "REGISTRY", MappingProxyType({"gamma_flow": changed}))


def test_what_is_published() -> None:
    known = datasets.REGISTRY["gamma_flow"]
    assert known.sha256 == "748abd533c4fa9f8a875f270d7ccae64b9a2af82456ca190d0ef0e72f1b50040"
    assert "f531e0241d4c5e14f370c89946828d375b0c7a78" in known.url
    assert known.url.endswith(f"/{known.file}")
    named = datasets.attribution("gamma_flow")
    for part in (
        "Federal Office for Radiation Protection",
        "Berlin",
        "Data licence Germany - attribution - version 2.0",
        "www.govdata.de/dl-de/by-2-0",
        "https://github.com/Schlavioner/gamma_flow",
        "shifted by one channel",
    ):
        assert part in named


def test_download_is_checked_and_kept(served: list[str], example_zip: Path) -> None:
    path = datasets.fetch("gamma_flow")
    assert path.read_bytes() == example_zip.read_bytes()
    assert datasets.fetch("gamma_flow") == path
    assert served == ["/example_dataset.zip"]


def test_load_names_the_provider(served: list[str]) -> None:
    (spectra,) = datasets.load("gamma_flow")
    assert spectra.values.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert spectra.attrs["attribution"] == datasets.attribution("gamma_flow")
    assert "arXiv" in spectra.attrs["citation"]


def test_a_changed_file_is_refused_and_not_kept(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, sha256="0" * 64)
    with pytest.raises(SpectraloomError, match="published SHA-256") as caught:
        datasets.fetch("gamma_flow")
    assert "\n" not in str(caught.value)
    assert served == ["/example_dataset.zip"]
    assert not list((tmp_path / "cache").rglob("*.zip"))


def test_offline_says_what_to_do_in_one_line(
    served: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, url="http://127.0.0.1:9/example_dataset.zip")  # nobody listens
    with pytest.raises(SpectraloomError, match="SPECTRALOOM_DATA_DIR") as caught:
        datasets.fetch("gamma_flow")
    assert "\n" not in str(caught.value)
    assert served == []


def test_local_copies_come_first(
    served: list[str], example_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    folder = local / "gamma_flow"
    folder.mkdir(parents=True)
    monkeypatch.setenv(datasets.DATA_DIR_VARIABLE, str(local))
    (folder / "a.npy").write_bytes(b"")
    assert datasets.fetch("gamma_flow") == folder
    shutil.copy(example_zip, folder / "part.zip")
    assert datasets.fetch("gamma_flow") == folder / "part.zip"
    shutil.copy(example_zip, folder / "other.zip")
    with pytest.raises(SpectraloomError, match="2 archives"):
        datasets.fetch("gamma_flow")
    shutil.copy(example_zip, folder / "example_dataset.zip")
    assert datasets.fetch("gamma_flow") == folder / "example_dataset.zip"
    shutil.copy(example_zip, local / "example_dataset.zip")
    assert datasets.fetch("gamma_flow") == local / "example_dataset.zip"
    assert served == []
    monkeypatch.setenv(datasets.DATA_DIR_VARIABLE, str(tmp_path / "nowhere"))
    datasets.fetch("gamma_flow")
    assert served == ["/example_dataset.zip"]


def test_copies_are_recognised_by_their_licence(
    gamma_flow_zip: Path, example_zip: Path, tmp_path: Path
) -> None:
    known = datasets.REGISTRY["gamma_flow"]
    assert datasets.recognise(gamma_flow_zip) == known
    with zipfile.ZipFile(example_zip) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert datasets.recognise(tmp_path / "unpacked") == known
    assert datasets.recognise(tmp_path / "unpacked" / "1_numpy_raw") == known
    assert datasets.recognise(example_zip.parent / "a.npy") is None
    assert datasets.recognise(tmp_path / "nowhere") is None
    (tmp_path / "unpacked" / "data_license").unlink()
    assert datasets.recognise(tmp_path / "unpacked") is None


def test_unknown_names_list_the_known() -> None:
    for function in (datasets.fetch, datasets.load, datasets.attribution):
        with pytest.raises(LabelError, match="known: gamma_flow"):
            function("other")


def test_importing_needs_neither_pooch_nor_network() -> None:
    program = "import sys, spectraloom.datasets as d; d.REGISTRY; sys.exit('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
