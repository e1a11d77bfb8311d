from __future__ import annotations

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

from spectraloom.analyze.compiled import compiled


def total(values: np.ndarray) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


@pytest.mark.parametrize("writable", [True, False])
def test_it_compiles_where_nothing_may_be_written(
    writable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not writable:
        monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    function = compiled(total)
    assert function(np.arange(5.0)) == 10.0
    assert len(function.signatures) == 1  # by machine code, not by the interpreter
    assert (function.stats.cache_path is not None) == writable
