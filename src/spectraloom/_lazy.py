"""Optional libraries, imported at the moment they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from spectraloom.errors import MissingExtraError


def optional(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name of the library, e.g. ``"xarray"``.
    extra : str
        The extra of Spectraloom that installs it, e.g. ``"scale"``.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"this needs the library {module!r}, which is not installed: "
            f"run  pip install 'spectraloom[{extra}]'"
        ) from error
