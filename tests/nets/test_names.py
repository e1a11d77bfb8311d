from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import spectraloom
from spectraloom import nets

# A finder that stands for a machine without the extra.
WITHOUT_TORCH = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'lightning'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_name_resolves_and_type_checkers_see_the_same() -> None:
    pytest.importorskip("torch", reason="needs the extra deep")
    assert dir(nets) == sorted(nets.__all__)
    assert all(getattr(nets, name) is not None for name in nets.__all__)
    tree = ast.parse(Path(nets.__file__ or "").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert seen == set(nets.__all__) == set(nets._HOME)
    with pytest.raises(AttributeError, match="no attribute 'forest'"):
        nets.forest  # noqa: B018


def test_analysis_does_not_load_torch() -> None:
    code = (
        "import sys, spectraloom, spectraloom.analyze, spectraloom.nets\n"
        "from spectraloom.analyze.manifold import LearnedSignature\n"
        "print('torch' in sys.modules)"
    )
    assert python(code) == "False"


def test_without_the_extra_everything_else_works_and_says_what_is_missing() -> None:
    code = WITHOUT_TORCH + (
        "import spectraloom as sl\n"
        f"[getattr(sl, name) for name in {spectraloom.__all__}]\n"
        "try:\n"
        "    sl.nets.train\n"
        "except sl.errors.MissingExtraError as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'spectraloom[deep]'" in python(code)
