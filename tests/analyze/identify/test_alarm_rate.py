from __future__ import annotations

import re

import pytest

from spectraloom.analyze.identify.alarm_rate import require_blocks
from spectraloom.errors import FitError


@pytest.mark.parametrize("block", [0.03555, 0.0356, 0.04, 1.0, 3.33])
def test_the_hours_that_are_asked_for_are_enough_and_few(block: float) -> None:
    with pytest.raises(FitError, match=r"--hours") as caught:
        require_blocks(5, block)
    (said,) = re.findall(r"--hours ([\d.]+)", str(caught.value))
    assert 50 * block <= float(said) + 1e-9
    assert float(said) < 1.1 * 50 * block
    require_blocks(50, block)
