from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)

from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError, LabelError

AXIS = Axis.regular(0.0, 80.0, 8)


def make(n: int = 6, axis: Axis = AXIS) -> Spectra:
    rng = np.random.default_rng(n)
    return Spectra(
        rng.poisson(5.0, (n, axis.n_channels)),
        axis,
        live_time=np.arange(1.0, n + 1),
        real_time=np.arange(1.0, n + 1) * 1.1,
        columns={
            "labels": [("Cs137", "K40") if row % 2 else ("Co60",) for row in range(n)],
            "detector": [f"d{row % 3}" for row in range(n)],
            "time": np.datetime64("2024-01-24") + np.arange(n),
            "number": np.arange(n),
        },
        variance=np.arange(1.0, n + 1)[:, np.newaxis] * np.ones(axis.n_channels),
        attrs={"source": "made"},
    )


def assert_rows(part: Spectra, whole: Spectra, rows: list[int]) -> None:
    """Everything in `part` is what stands in these rows of `whole`."""
    np.testing.assert_array_equal(part.values, whole.values[rows])
    assert part.variance is not None
    assert whole.variance is not None
    np.testing.assert_array_equal(part.variance, whole.variance[rows])
    for name in ("live_time", "real_time"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])
    assert set(part.columns) == set(whole.columns)
    for name, column in part.columns.items():
        assert column.tolist() == whole.columns[name][rows].tolist()
        assert column.dtype.kind == whole.columns[name].dtype.kind
    assert (part.axis, part.kind, part.attrs) == (whole.axis, whole.kind, whole.attrs)


# -- building ----------------------------------------------------------------------------------


def test_defaults() -> None:
    spectra = Spectra([1, 2, 3])
    assert spectra.shape == (1, 3)
    assert spectra.kind == "counts"
    assert not spectra.axis.is_calibrated
    assert spectra.live_time is None
    assert dict(spectra.columns) == {}


@pytest.mark.parametrize(
    ("given_dtype", "kept"),
    [("int32", "int32"), ("uint16", "uint16"), ("float32", "float32"), ("float16", "float64"),
     ("bool", "float64"), ("object", "float64")],
)  # fmt: skip
def test_types_of_values(given_dtype: str, kept: str) -> None:
    assert Spectra(np.ones((2, 3), dtype=given_dtype)).dtype == np.dtype(kept)
    assert Spectra(np.ones((1, 3)), kind="complex").dtype == np.complex128


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Spectra([[1, -1]]), DataError, "spectrum 0 has -1 in channel 1"),
        (lambda: Spectra([[1, np.nan]]), DataError, "finite numbers, but spectrum 0 has nan"),
        (lambda: Spectra([[np.inf, -np.inf]], kind="rate"), DataError, "finite numbers"),
        (lambda: Spectra([[1, 2]], kind="count"), DataError, "unknown kind"),
        (lambda: Spectra([[1j, 2]]), DataError, "kind='complex'"),
        (lambda: Spectra([["a", "b"]]), DataError, "hold numbers"),
        (lambda: Spectra(np.array([["a", None]], dtype=object)), DataError, "hold numbers"),
        (lambda: Spectra(np.ones((2, 2, 2))), DataError, r"\(n_spectra, n_channels\)"),
        (lambda: Spectra(np.ones((2, 0))), DataError, r"\(n_spectra, n_channels\)"),
        (lambda: Spectra([[1, 2]], AXIS), AxisError, "2 channels, but the axis has 8"),
        (lambda: Spectra([[1, 2]], live_time=-1), DataError, "live_time is zero or more"),
        (lambda: Spectra([[1, 2]], real_time=np.inf), DataError, "real_time is zero or more"),
        (lambda: Spectra([[1, 2]], live_time="long"), DataError, "no number"),
        (lambda: Spectra([[1, 2]], live_time=[1, 2]), DataError, "there are 1 spectra"),
        (lambda: Spectra([[1, 2]], variance=[[1]]), DataError, "variance has shape"),
        (lambda: Spectra([[1, 2]], variance=[[1, -1]]), DataError, "zero or more"),
        (lambda: Spectra([[1, 2]], variance=[[1, np.nan]]), DataError, "zero or more"),
        (lambda: Spectra([[1, 2]], variance=[[1, np.inf]]), DataError, "finite"),
        (lambda: Spectra([[1, 2]], variance=[[1, 1j]]), DataError, "real"),
        (lambda: Spectra([[1, 2]], columns={"x": [1, 2]}), DataError, "column 'x'"),
        (lambda: make().replace(colour=1), DataError, "no field"),
        (lambda: make().column("site"), LabelError, "no column 'site'; columns: detector"),
        (lambda: Spectra([[1, 2]]).labels, LabelError, "no column 'labels'"),
    ],
)
def test_bad_spectra_are_refused(
    build: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build()


def test_differences_and_huge_values_are_no_error() -> None:
    assert Spectra([[1.0, -1.0]], kind="intensity").totals[0] == 0
    assert Spectra([[1e308, 1e308]], kind="intensity").shape == (1, 2)


def test_times_may_be_unknown_or_one_for_all() -> None:
    assert np.isnan(Spectra(np.ones((2, 2)), live_time=[1, np.nan]).live_time[1])  # type: ignore[index]
    np.testing.assert_array_equal(Spectra(np.ones((2, 2)), live_time=3).live_time, [3, 3])


def test_totals_do_not_overflow() -> None:
    assert Spectra(np.full((1, 1000), 255, dtype=np.uint8)).totals[0] == 255_000


def test_everything_is_read_only() -> None:
    spectra = make()
    part = spectra[1:3, 2:5]
    for one in (spectra, part, spectra[[0, 2]]):
        arrays = [one.values, one.variance, one.live_time, one.real_time, *one.columns.values()]
        for array in arrays:
            assert array is not None
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[0]
        with pytest.raises(TypeError):
            one.columns["x"] = 1  # type: ignore[index]
        with pytest.raises(TypeError):
            one.attrs["x"] = 1  # type: ignore[index]
        with pytest.raises(AttributeError):
            one.kind = "rate"  # type: ignore[misc]


def test_changes_are_validated() -> None:
    with pytest.raises(DataError, match="negative"):
        make().replace(values=-np.ones((6, 8)))
    assert make().with_columns(site="x").column("site").tolist() == ["x"] * 6


# -- slicing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (0, [0]), (-1, [5]), (np.int64(2), [2]), (np.array(3), [3]), (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [5, 3, 1]), ([4, 0, 4], [4, 0, 4]), (np.array([5, 1]), [5, 1]),
        ([True, False, False, True, False, False], [0, 3]), ([], []), ((2, ...), [2]),
        (([1, 3], slice(None)), [1, 3]), (..., [0, 1, 2, 3, 4, 5]),
    ],
)  # fmt: skip
def test_rows_keep_everything(index: object, rows: list[int]) -> None:
    whole = make()
    assert_rows(whole[(index, ...) if index is Ellipsis else index], whole, rows)


def test_channels_are_cut_with_axis_and_variance() -> None:
    part = make()[1:3, 2:5]
    assert part.shape == (2, 3)
    assert part.variance is not None
    assert part.variance.shape == (2, 3)
    np.testing.assert_array_equal(part.axis.values, AXIS.values[2:6])


@pytest.mark.parametrize(
    ("index", "error"),
    [(6, IndexError), (-7, IndexError), (np.array([[0, 1]]), DataError), ((0, 1), DataError),
     ((0, slice(None), 0), DataError), ((0, [1, 2]), DataError), ((0, slice(3, 3)), AxisError),
     ([9], IndexError), ([True], IndexError)],
)  # fmt: skip
def test_bad_indices_are_refused(index: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()[index]


def test_iteration_gives_single_spectra() -> None:
    whole = make(3)
    parts = list(whole)
    assert [len(part) for part in parts] == [1, 1, 1]
    assert Spectra.concatenate(parts).fingerprint() == whole.fingerprint()


# -- scikit-learn ------------------------------------------------------------------------------


def test_train_test_split_keeps_columns() -> None:
    whole = make(20)
    train, test = train_test_split(whole, test_size=0.25, random_state=1)
    assert isinstance(train, Spectra)
    rows = [*train.column("number"), *test.column("number")]
    assert sorted(rows) == list(range(20))
    assert_rows(train, whole, train.column("number").tolist())
    assert_rows(test, whole, test.column("number").tolist())


class _Witness(LogisticRegression):  # type: ignore[misc]
    """A classifier that insists on receiving Spectra with their columns."""

    def fit(self, X, y):  # type: ignore[no-untyped-def]
        assert isinstance(X, Spectra)
        assert X.axis == AXIS
        assert [name[0] == "Co60" for name in X.labels] == list(y)
        return super().fit(np.asarray(X), y)


def test_cross_validation_and_grid_search_pass_spectra_on() -> None:
    whole = make(40)
    bright = whole.values.astype(float)
    target = np.array([labels == ("Co60",) for labels in whole.labels])
    bright[target, 0] += 50
    whole = whole.replace(values=bright)
    model = _Witness(max_iter=500)
    scores = cross_val_score(model, whole, target, cv=StratifiedKFold(4))
    np.testing.assert_array_equal(scores, 1.0)
    groups = whole.column("number") // 4
    assert cross_val_score(model, whole, target, groups=groups, cv=GroupKFold(3)).min() == 1.0
    search = GridSearchCV(model, {"C": [0.1, 1.0]}, cv=2).fit(whole, target)
    assert search.best_score_ == 1.0


def test_spectra_are_an_array_to_numpy_and_scikit_learn() -> None:
    whole = make()
    np.testing.assert_array_equal(np.asarray(whole), whole.values)
    assert np.array(whole, dtype=np.float32).flags.writeable
    assert LogisticRegression().fit(whole, [0, 1] * 3).n_features_in_ == 8


def test_worker_processes_receive_the_same_spectra() -> None:
    whole = make()
    for other in (pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole)):
        assert_rows(other, whole, list(range(6)))
        assert not other.values.flags.writeable


# -- concatenating -----------------------------------------------------------------------------


def test_concatenation_restores_what_was_cut() -> None:
    whole = make()
    assert Spectra.concatenate([whole[:2], whole[2:3], whole[3:]]).fingerprint() == (
        whole.fingerprint()
    )


def test_concatenation_fills_unknown_times_and_columns() -> None:
    plain = Spectra(np.ones((2, 8)), AXIS)
    both = Spectra.concatenate([make(2), plain])
    assert both.live_time is not None
    assert np.isnan(both.live_time[2:]).all()
    assert both.column("labels").tolist()[2:] == [(), ()]
    assert both.variance is not None
    np.testing.assert_array_equal(both.variance[2:], 1.0)  # counts are their own variance
    assert dict(both.attrs) == {}


def test_different_axes_are_both_named() -> None:
    other = Axis.regular(0.0, 90.0, 8)
    with pytest.raises(AxisError) as caught:
        Spectra.concatenate([make(), make(axis=other)])
    assert AXIS.describe() in str(caught.value)
    assert other.describe() in str(caught.value)


def test_what_does_not_join_is_refused() -> None:
    rates = Spectra(np.ones((1, 8)), AXIS, "rate")
    with pytest.raises(DataError, match="no spectra"):
        Spectra.concatenate([])
    with pytest.raises(DataError, match="counts with rate"):
        Spectra.concatenate([make(), rates])
    with pytest.raises(DataError, match="without one"):
        Spectra.concatenate([rates, rates.replace(variance=np.ones((1, 8)))])


# -- fingerprints ------------------------------------------------------------------------------


def test_fingerprint_is_of_the_content() -> None:
    whole = make()
    assert whole.fingerprint() == make().fingerprint()
    assert whole.fingerprint() == whole.replace(attrs={"source": "elsewhere"}).fingerprint()
    wide = whole.with_columns(detector=whole.column("detector").astype("<U40"))
    assert wide.fingerprint() == whole.fingerprint()
    reordered = whole.replace(columns=dict(reversed(whole.columns.items())))
    assert reordered.fingerprint() == whole.fingerprint()


def _shift(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    changed = np.array(array)
    changed.flat[-1] += 1
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.replace(values=_shift(s.values)),
        lambda s: s.replace(values=s.values.astype(np.int32)),
        lambda s: s.replace(values=s.values.astype(np.float64)),
        lambda s: s.replace(kind="intensity"),
        lambda s: s.replace(variance=_shift(s.variance)),
        lambda s: s.replace(variance=None),
        lambda s: s.replace(live_time=_shift(s.live_time)),
        lambda s: s.replace(live_time=None),
        lambda s: s.replace(live_time=None, real_time=None),
        lambda s: s.replace(live_time=s.real_time, real_time=s.live_time),
        lambda s: s.replace(live_time=None, real_time=s.live_time),
        lambda s: s.replace(real_time=None),
        lambda s: s.replace(axis=Axis.regular(0.0, 81.0, 8)),
        lambda s: s.replace(axis=Axis.regular(0.0, 80.0, 8, unit="MeV")),
        lambda s: s.replace(axis=Axis.regular(0.0, 80.0, 8, quantity="time")),
        lambda s: s.replace(axis=Axis.from_edges(AXIS.values)),
        lambda s: s.replace(axis=Axis.from_points(AXIS.centers)),
        lambda s: s.with_columns(labels=[("K40", "Cs137")] * 6),
        lambda s: s.with_columns(labels=[str(list(entry)) for entry in s.labels]),
        lambda s: s.with_columns(detector="d0"),
        lambda s: s.with_columns(number=s.column("number").astype(float)),
        lambda s: s.with_columns(more=1),
        lambda s: s.replace(columns={}),
        lambda s: s[::-1],
        lambda s: s[:5],
        lambda s: s[:, :7],
    ],
)
def test_fingerprint_differs_when_anything_differs(change: Callable[[Spectra], Spectra]) -> None:
    whole = make()
    assert change(whole).fingerprint() != whole.fingerprint()


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 4), st.just(8)), elements=st.integers(0, 9)))
def test_two_fingerprints_agree_only_for_equal_values(values: np.ndarray) -> None:
    zero = Spectra(np.zeros_like(values), AXIS)
    same = Spectra(values, AXIS).fingerprint() == zero.fingerprint()
    assert same == (not values.any())


def test_representation_names_the_essentials() -> None:
    text = repr(make())
    for part in ("6 x 8 channels", "0 to 80 keV", "counts", "detector"):
        assert part in text


def test_select_compares_label_sets_as_sets_and_other_columns_by_value() -> None:
    spectra = Spectra(
        np.arange(12.0).reshape(3, 4),
        columns={
            "labels": [("Co60",), ("Cs137", "Co60"), ("Co60",)],
            "detector": ["left", "left", "right"],
        },
    )
    assert spectra.select(labels="Co60").values[:, 0].tolist() == [0.0, 8.0]
    assert spectra.select(labels=("Co60", "Cs137")).values[:, 0].tolist() == [4.0]
    assert spectra.select(labels="Co60", detector="right").values[:, 0].tolist() == [8.0]
    assert len(spectra.select(detector="up")) == 0
    with pytest.raises(LabelError, match="no column 'absorber'"):
        spectra.select(absorber="Pb")


def test_a_column_that_looks_like_labels_is_named() -> None:
    spectra = Spectra(np.ones((1, 4)), columns={"Nuclide": ["Co60"]})
    with pytest.raises(LabelError, match="rename 'Nuclide' to 'labels'"):
        _ = spectra.labels
    with pytest.raises(LabelError, match=r"columns: Nuclide$"):
        spectra.column("detector")
