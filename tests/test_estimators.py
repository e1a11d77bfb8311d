"""Every public estimator of the package, found rather than listed, against scikit-learn's rules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Any

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import spectraloom

# Bases that only make sense with a subclass.
ABSTRACT = {"SpectralEstimator", "Transformer"}
# Floors that show and run things; they define no estimators.
FACES = {"cli", "plot", "workflow"}


def public_estimators() -> list[type[BaseEstimator]]:
    """Estimator classes defined anywhere in the package under a public name."""
    found: dict[str, type[BaseEstimator]] = {}
    for module in pkgutil.walk_packages(spectraloom.__path__, "spectraloom."):
        path = module.name.split(".")
        if path[1] in FACES or any(part.startswith("_") for part in path):
            continue
        for name, member in inspect.getmembers(importlib.import_module(module.name)):
            if (
                inspect.isclass(member)
                and issubclass(member, BaseEstimator)
                and member.__module__.startswith("spectraloom.")
                and not name.startswith("_")
                and name not in ABSTRACT
            ):
                found[f"{member.__module__}.{name}"] = member
    return [found[name] for name in sorted(found)]


ESTIMATORS = public_estimators()


def test_the_search_finds_them() -> None:
    assert {"SupervisedNMF", "Rebin", "Window", "Normalize", "Smooth"} <= {
        estimator.__name__ for estimator in ESTIMATORS
    }


@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_scikit_learn_accepts_it(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_every_parameter_is_described(estimator: type[BaseEstimator]) -> None:
    text = inspect.getdoc(estimator) or ""
    for name in inspect.signature(estimator).parameters:
        assert re.search(rf"^(\w+, )*{name}(, \w+)* : ", text, flags=re.MULTILINE), name
    assert clone(estimator()).get_params() == estimator().get_params()
