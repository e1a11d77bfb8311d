"""The package as a whole: its names, what importing costs, its layers, and what it depends on."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import spectraloom
from spectraloom._lazy import optional
from spectraloom.errors import MissingExtraError, SpectraloomError

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "spectraloom"
FILES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def python(code: str) -> str:
    """Output of `code` in a fresh interpreter, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


# -- names -------------------------------------------------------------------------------------


def test_every_public_name_resolves() -> None:
    for name in spectraloom.__all__:
        assert getattr(spectraloom, name) is not None
    assert set(spectraloom.__all__) <= set(dir(spectraloom))


def test_a_public_name_is_the_one_of_its_home() -> None:
    assert spectraloom.Spectra is importlib.import_module("spectraloom.data").Spectra


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Spektra'"):
        spectraloom.Spektra  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = parse(SOURCE / "__init__.py")
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert seen == set(spectraloom.__all__)


@pytest.mark.parametrize("floor", spectraloom._FLOORS)
def test_every_floor_keeps_what_it_promises(floor: str) -> None:
    module = importlib.import_module(f"spectraloom.{floor}")
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


def test_every_floor_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^ *spectraloom\.(\w+)$", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted(spectraloom._FLOORS)


def test_own_errors_share_one_base() -> None:
    errors = importlib.import_module("spectraloom.errors")
    own = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(own) > 1
    assert all(issubclass(error, SpectraloomError) for error in own)


# -- version -----------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    version = spectraloom.__version__
    assert PROJECT["project"]["version"] == version
    assert importlib.metadata.version("spectraloom") == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE) == [version]
    # Newest release on top, perhaps under what is not released yet.
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([version], [])


# -- cost of importing -------------------------------------------------------------------------


def test_importing_costs_little() -> None:
    code = (
        "import time; start = time.process_time(); import spectraloom;"
        "print(time.process_time() - start)"
    )
    # The least of several runs: CPU time too grows on a busy machine.
    assert min(float(python(code)) for _ in range(5)) < 0.15


def test_importing_the_package_and_its_data_classes_loads_numpy_only() -> None:
    before = "import sys; before = set(sys.modules);"
    code = "import spectraloom; spectraloom.Spectra; spectraloom.SpectraloomError;"
    after = "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    loaded = set(python(before + code + after).split())
    assert "spectraloom" in loaded  # or the next line would hold for an empty answer
    assert loaded - set(sys.stdlib_module_names) <= {"spectraloom", "numpy"}


# -- layers ------------------------------------------------------------------------------------


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken" in done.stdout


def test_no_module_is_left_out_of_the_layers() -> None:
    (contract,) = (
        each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers"
    )
    layers = {name.strip() for layer in contract["layers"] for name in re.split("[|:]", layer)}
    top = {module_name(path) for path in FILES if len(path.relative_to(SOURCE).parts) == 1}
    top |= {f"spectraloom.{path.parent.name}" for path in SOURCE.glob("*/__init__.py")}
    assert top - layers == {"spectraloom"}


# -- what the sources import -------------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Top-level names of what is imported, by a statement or by ``import_module("...")``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0], node
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value).partition(".")[0], node


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """Nodes that stand under ``if TYPE_CHECKING``."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def optional_imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What is imported by ``optional(module, extra=...)``: module and extra."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "optional":
            (module,) = node.args
            (extra,) = (keyword.value for keyword in node.keywords)
            yield ast.literal_eval(module).partition(".")[0], ast.literal_eval(extra)


def distributions(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


CORE = distributions(PROJECT["project"]["dependencies"])
EXTRAS = {
    extra: distributions(texts)
    for extra, texts in PROJECT["project"]["optional-dependencies"].items()
}
OWNER = {
    module: {canonicalize_name(name) for name in names}
    for module, names in importlib.metadata.packages_distributions().items()
}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_import_is_declared(path: Path) -> None:
    tree = parse(path)
    types_only = for_types_only(tree)
    anything = CORE.union(*EXTRAS.values())
    for module, node in imported(tree):
        if module in sys.stdlib_module_names or module == "spectraloom":
            continue
        allowed = anything if node in types_only else CORE
        assert OWNER.get(module, set()) & allowed, (
            f"{module} is not a core dependency: import it by spectraloom._lazy.optional"
        )
    for module, extra in optional_imports(tree):
        assert OWNER.get(module, set()) & EXTRAS[extra], f"{module} is not in the extra {extra}"


# The only places that may import a heavy engine, by whatever way. import-linter checks the static
# imports; a library imported by its name only is seen here.
HOMES = {
    "torch": ("nets/",),
    "lightning": ("nets/",),
    "fastapi": ("web/",),
    "uvicorn": ("web/",),
    "dask": ("workflow/batch.py",),
    "distributed": ("workflow/batch.py",),
    "matplotlib": ("plot/",),
}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_engines_stay_at_home(path: Path) -> None:
    tree = parse(path)
    types_only = for_types_only(tree)
    modules = {module for module, node in imported(tree) if node not in types_only}
    modules |= {module for module, _ in optional_imports(tree)}
    place = path.relative_to(SOURCE).as_posix()
    assert [m for m in modules & HOMES.keys() if not place.startswith(HOMES[m])] == []


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'spectraloom\[scale\]'"):
        optional("no_such_library", extra="scale")
    assert optional("json", extra="scale").loads("1") == 1


FORBIDDEN = {"cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Enough to derive an unpickler that refuses all but named types, and to catch its errors.
OF_PICKLE = {"Unpickler", "UnpicklingError", "PickleError"}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nothing_is_pickled(path: Path) -> None:
    problems = pickle_problems(parse(path), in_io="io" in path.relative_to(SOURCE).parts)
    assert problems == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import load",
        "import pickle as p",
        "import joblib",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import pickle\npickle.Unpickler(stream).load()",
        "import pickle\nclass Open(pickle.Unpickler):\n    pass",
    ],
)
def test_the_search_for_pickles_finds_them(code: str) -> None:
    assert pickle_problems(ast.parse(code), in_io=True)


def pickle_problems(tree: ast.Module, *, in_io: bool) -> list[str]:
    problems = [f"imports {module}" for module, _ in imported(tree) if module in FORBIDDEN]
    bases: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            own = [base for base in node.bases if ast.unparse(base) == "pickle.Unpickler"]
            bases.update(own)
            methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            if own and "find_class" not in methods:
                problems.append(f"{node.name} admits any type")
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(name.name == "pickle" for name in names):
                if not in_io or any(name.asname for name in names):
                    problems.append("imports pickle outside io, or under another name")
            case ast.ImportFrom(module="pickle"):
                problems.append("imports names from pickle: write pickle.Unpickler")
            case ast.Attribute(value=ast.Name(id="pickle"), attr=attr):
                if attr not in OF_PICKLE or (attr == "Unpickler" and node not in bases):
                    problems.append(f"uses pickle.{attr}")
            case ast.keyword(arg="allow_pickle", value=value):
                if ast.unparse(value) != "False":
                    problems.append("allows pickles")
    return problems


# -- size ----------------------------------------------------------------------------------------


def code_lines(node: ast.AST) -> int:
    """Lines that hold code: docstrings, comments and blank lines are free."""
    free = {
        id(part.body[0])
        for part in ast.walk(node)
        if isinstance(part, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and ast.get_docstring(part) is not None
    }
    lines: set[int] = set()

    def visit(part: ast.AST) -> None:
        if id(part) in free:
            return
        if isinstance(part, (ast.expr, ast.stmt)):
            # What spans lines is counted by its ends and by what stands on the lines between.
            lines.update((part.lineno, part.end_lineno or part.lineno))
        for child in ast.iter_child_nodes(part):
            visit(child)

    visit(node)
    return len(lines)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    tree = parse(path)
    sizes = {module_name(path): (code_lines(tree), 350)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            sizes[f"{module_name(path)}.{node.name}"] = (code_lines(node), 60)
    assert {name: size for name, (size, most) in sizes.items() if size > most} == {}


def test_only_code_is_counted() -> None:
    code = 'def f(x):\n    """Say."""\n    # why\n\n    y = [\n        x,\n    ]\n    return y\n'
    assert code_lines(ast.parse(code)) == 5


# -- examples in docstrings --------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_examples_in_docstrings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(path))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0


# -- what is installed with it -----------------------------------------------------------------


def required(name: str, extras: tuple[str, ...]) -> dict[str, importlib.metadata.Distribution]:
    """Every installed distribution that `name` with `extras` needs, itself included."""
    found: dict[str, importlib.metadata.Distribution] = {}
    done: set[tuple[str, tuple[str, ...]]] = set()
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        found[canonicalize_name(name)] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if not marker or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                todo.append((requirement.name, tuple(sorted(requirement.extras))))
    return found


def locked() -> list[tuple[str, str]]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    # Nothing but name and version: no host, no path.
    pairs = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines]
    assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if not pair]
    return [(pair[1], pair[2]) for pair in pairs if pair]


def test_the_lock_names_everything() -> None:
    names = [name for name, _ in locked()]
    assert names == sorted(set(names))
    needed = set(required("spectraloom", tuple(EXTRAS))) - {"spectraloom"}
    assert {"numpy", "pytest", "xarray"} <= needed
    assert needed - set(names) == set()
    build = distributions(PROJECT["build-system"]["requires"])
    assert CORE.union(build, *EXTRAS.values()) - set(names) == {"spectraloom"}
    assert "torchvision" not in names


def test_the_lock_keeps_within_the_ranges() -> None:
    versions = dict(locked())
    project = PROJECT["project"]
    texts = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    texts += [text for extra in project["optional-dependencies"].values() for text in extra]
    for requirement in map(Requirement, texts):
        name = canonicalize_name(requirement.name)
        assert name == "spectraloom" or versions[name] in requirement.specifier, str(requirement)


PERMISSIVE = re.compile(
    r"(MIT|BSD|0BSD|Apache|ISC|Zlib|CC0|PSF|Python Software Foundation|HPND|MPL"
    r"|Mozilla Public License|Unlicense|LLVM|BSL-1\.0)\b",  # BSL: Boost Software License
)
# SandiaSpecUtils is used as a library, unchanged, which the LGPL allows to works of any licence.
WEAK_COPYLEFT = {"sandiaspecutils"}


def licence_parts(distribution: importlib.metadata.Distribution) -> list[str]:
    """The licence as SPDX parts, else its classifiers, else the first line of its text."""
    metadata: Any = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return re.split(r" (?:AND|OR|WITH) ", re.sub(r"[()]", "", expression))
    prefix = "License :: OSI Approved :: "
    classifiers = metadata.get_all("Classifier", [])
    if named := [text.removeprefix(prefix) for text in classifiers if text.startswith(prefix)]:
        return named
    return (metadata.get("License") or "none stated").splitlines()[:1]


@pytest.mark.parametrize("name", sorted(required("spectraloom", ("scale", "web", "deep"))))
def test_what_users_install_is_freely_licensed(name: str) -> None:
    parts = licence_parts(importlib.metadata.distribution(name))
    if name in WEAK_COPYLEFT:
        assert all("Lesser General Public License" in part for part in parts)
    else:
        assert parts
        assert all(PERMISSIVE.search(part) for part in parts), parts
