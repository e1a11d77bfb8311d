from __future__ import annotations

import subprocess
import sys

HEAVY = ("scipy", "sklearn", "numba", "matplotlib", "pandas", "xarray", "SpecUtils", "openpyxl")


def loaded_by(code: str) -> set[str]:
    """Modules that a fresh interpreter holds after running `code`."""
    script = f"{code}\nimport sys\nprint(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_the_data_classes_load_numpy_only() -> None:
    assert not loaded_by("import spectraloom") & set(HEAVY)
    code = (
        "import spectraloom as sl, spectraloom.data.overlap\n"
        "s = sl.Spectra([[1, 2]], sl.Axis.regular(0, 2, 2), columns={'labels': [('a',)]})\n"
        "sl.Library.from_spectra(s); s.fingerprint(); sl.Spectra.concatenate([s, s[:1]])"
    )
    loaded = loaded_by(code)
    assert not loaded & set(HEAVY)
    assert "numpy" in loaded
    # The probe itself works: what does load scipy is seen to.
    assert "scipy" in loaded_by("import spectraloom.process")
