"""Numbers of a benchmark: where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectraloom import __version__
from spectraloom.cli.show import print_json, progress_bar

if TYPE_CHECKING:
    from spectraloom._typing import Progress
    from spectraloom.data import Spectra


def measure(
    data: Path,
    json_file: Path | None,
    run: Callable[[Sequence[Spectra], Progress], dict[str, Any]],
) -> dict[str, Any] | None:
    """Read data, run a benchmark, and print or write its numbers as JSON.

    Parameters
    ----------
    data : Path
        Read; not to be overwritten.
    json_file : Path or None
        File for the numbers; ``-`` prints them instead.
    run : callable
        Takes the spectra and what reports progress, gives the numbers. What it says under
        ``provenance`` is kept beside version and name of the data.

    Returns
    -------
    dict or None
        The numbers, to be shown in words; None if they were printed.
    """
    from spectraloom.io import read_groups
    from spectraloom.workflow.strict_json import strict_json
    from spectraloom.workflow.target import require_target

    printed = str(json_file) == "-"
    if json_file is not None and not printed:
        require_target(json_file, sources=[data])
    with progress_bar(printed) as progress:
        progress(0.0, "reading")
        numbers = run(read_groups(data), progress)
    made_by = {"spectraloom": __version__, "data": data.resolve().name}
    numbers["provenance"] = made_by | numbers.get("provenance", {})
    if printed:
        print_json(numbers)
        return None
    if json_file is not None:
        json_file.write_text(strict_json(numbers), encoding="utf-8")
    return numbers
