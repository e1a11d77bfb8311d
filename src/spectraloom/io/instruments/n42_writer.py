"""Writing ANSI N42.42-2012."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.io.instruments.describe import require_counts, start_moments, text_column
from spectraloom.io.instruments.n42 import COLUMNS, HELD
from spectraloom.io.instruments.specutils_records import NO_NAME

_CLASSES = {
    "foreground": "Foreground",
    "background": "Background",
    "calibration": "Calibration",
    "intrinsic": "IntrinsicActivity",
}
_NAMESPACE = "http://physics.nist.gov/N42/2011/N42"


class N42Writer:
    """Writes ANSI N42.42-2012: any number of spectra, numbers with all their digits."""

    name = "N42"
    suffixes = (".n42",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write `spectra` to `path`.

        Raises
        ------
        FormatError
            If the axis is not one of energies in keV or bare channels.
        """
        require_counts(spectra, self.name)
        path.write_text("\n".join(_document(spectra)) + "\n", encoding="utf-8", newline="\n")


def _document(spectra: Spectra) -> list[str]:
    detectors = text_column(spectra, "detector")
    names = list(dict.fromkeys(detectors))
    # The word that the native reader itself uses for a detector without a name.
    ids = {name: f"Detector{k}" if name else NO_NAME for k, name in enumerate(names, start=1)}
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<RadInstrumentData xmlns="{_NAMESPACE}">',
        "<RadInstrumentDataCreatorName>Spectraloom</RadInstrumentDataCreatorName>",
        '<RadInstrumentInformation id="Instrument">',
        "<RadInstrumentManufacturerName>unknown</RadInstrumentManufacturerName>",
        "<RadInstrumentModelName>unknown</RadInstrumentModelName>",
        "<RadInstrumentClassCode>Other</RadInstrumentClassCode>",
        "</RadInstrumentInformation>",
    ]
    for name in names:
        lines.append(f"<RadDetectorInformation id={quoteattr(ids[name])}>")
        if name:
            lines.append(f"<RadDetectorName>{escape(name)}</RadDetectorName>")
        lines += [
            "<RadDetectorCategoryCode>Gamma</RadDetectorCategoryCode>",
            "<RadDetectorKindCode>Other</RadDetectorKindCode>",
            "</RadDetectorInformation>",
        ]
    lines += _calibration(spectra.axis)
    titles = text_column(spectra, "title")
    types = text_column(spectra, "source_type")
    starts = start_moments(spectra)
    extensions = _extensions(spectra)
    for row in range(len(spectra)):
        lines += _measurement(
            spectra, row, ids[detectors[row]], titles[row], types[row], starts[row], extensions[row]
        )
    lines.append("</RadInstrumentData>")
    return lines


def _calibration(axis: Axis) -> list[str]:
    if not axis.is_calibrated:
        return []
    if axis.calibration is not None and axis.calibration.model == "polynomial":
        values = axis.calibration.coefficients
        # The standard has three coefficients; readers take more.
        inner = ("CoefficientValues", (*values, 0.0) if len(values) < 3 else values)
    else:
        inner = ("EnergyBoundaryValues", tuple(axis.edges))
    numbers = " ".join(repr(float(value)) for value in inner[1])
    return [
        '<EnergyCalibration id="Calibration">',
        f"<{inner[0]}>{numbers}</{inner[0]}>",
        "</EnergyCalibration>",
    ]


def _measurement(
    spectra: Spectra,
    row: int,
    detector: str,
    title: str,
    kind: str,
    start: datetime | None,
    extension: str,
) -> list[str]:
    number = row + 1
    reference = ' energyCalibrationReference="Calibration"' if spectra.axis.is_calibrated else ""
    lines = [
        f'<RadMeasurement id="Sample{number}">',
        f"<MeasurementClassCode>{_CLASSES.get(kind, 'NotSpecified')}</MeasurementClassCode>",
    ]
    if start is not None:
        lines.append(f"<StartDateTime>{start.isoformat()}Z</StartDateTime>")
    lines += _duration_line("RealTimeDuration", spectra.real_time, row)
    lines.append(
        f'<Spectrum id="Sample{number}Spectrum" '
        f"radDetectorInformationReference={quoteattr(detector)}{reference}>"
    )
    if title:
        lines.append(f"<Remark>Title: {escape(title)}</Remark>")
    lines += _duration_line("LiveTimeDuration", spectra.live_time, row)
    counts = " ".join(_number(value) for value in spectra.values[row])
    lines += [
        f'<ChannelData compressionCode="None">{counts}</ChannelData>',
        *extension.splitlines(),
        "</Spectrum>",
        "</RadMeasurement>",
    ]
    return lines


def _extensions(spectra: Spectra) -> list[str]:
    """Columns that the standard has no place for, as JSON in the extension that it has for them."""
    columns = {
        name: column.tolist()
        for name, column in spectra.columns.items()
        if name not in HELD
        and (
            column.dtype.kind in "OUiub"
            or (column.dtype.kind == "f" and not np.isinf(column).any())
        )
    }
    texts = []
    for row in range(len(spectra)):
        cells = {name: values[row] for name, values in columns.items()}
        # Empty texts and sets and nan are what a column holds where nothing is said.
        told = {name: cell for name, cell in cells.items() if cell not in ("", ()) and cell == cell}
        text = escape(json.dumps(told))
        texts.append(
            f"<SpectrumExtension><{COLUMNS}>{text}</{COLUMNS}></SpectrumExtension>" if told else ""
        )
    return texts


def _duration_line(tag: str, times: Array | None, row: int) -> list[str]:
    if times is None or math.isnan(times[row]):
        return []
    return [f"<{tag}>PT{_plain(float(times[row]))}S</{tag}>"]


def _plain(value: float) -> str:
    """All digits of a number, without an exponent (durations have none)."""
    return np.format_float_positional(value, trim="-")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


WRITER = N42Writer()
