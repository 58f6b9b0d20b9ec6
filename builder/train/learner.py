"""The learner: a small forest of oblivious trees, taught by a large slow ensemble.

Measured tables are noisy and cover a grid of sizes with gaps. The teacher (CatBoost with an
absolute and with a squared loss, and scikit-learn's extremely randomised trees, averaged) is
robust against outliers and interpolates better than one small forest; the student learns the
teacher's answers, for the measured shapes and for unmeasured ones between them (G. Hinton et al.,
"Distilling the Knowledge in a Neural Network", 2015). Everything runs in one thread from fixed
seeds, so the same rows give the same forest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from catboost import CatBoostRegressor
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor

from gpperf_lite._forest import Forest

from ..dataset import Floats
from .catboost_forest import constant_forest, forest_of
from .leaves import mean_of, with_refitted_leaves

Columns = NDArray[np.float32]


@dataclass(frozen=True)
class Teacher:
    """The size of the ensemble that teaches: boosted trees each, their rate, and random trees."""

    n_trees: int = 256
    learning_rate: float = 0.2
    n_random: int = 30


@dataclass(frozen=True)
class LearnerOptions:
    """Options of a learner: the size of the forest, and how it is fitted.

    n_trees, depth: of the forest that is shipped; teacher: the ensemble that teaches it, or None.
    n_alike: without a teacher, the forests that differ by their seed, and by their loss where there
    are several, and are averaged; losses: what they make small in turn, in CatBoost's words.
    """

    n_trees: int = 128
    depth: int = 8
    learning_rate: float = 0.3
    l2_leaf_reg: float = 0.3
    column_share: float = 0.3
    teacher: Teacher | None = Teacher()
    seed: int = 1
    n_alike: int = 1
    losses: tuple[str, ...] = ("RMSE",)


LARGE = LearnerOptions(n_trees=256, teacher=Teacher(700, 0.12, n_random=60))
"""For what several collections agree on."""

PLAIN = LearnerOptions(n_trees=256, teacher=None)
"""Without a teacher: in a quarter of the time, for fits of which there are many."""

FOR_KERNELS = LearnerOptions(
    n_trees=400,
    depth=6,
    learning_rate=0.2,
    l2_leaf_reg=3.0,
    column_share=0.5,
    teacher=None,
    n_alike=2,
    losses=("Huber:delta=0.05", "RMSE"),
)
"""For known kernels, of which some fall off steeply with size: a teacher would take it for noise.

Where they fall off, errors are of half an octave. Squared, those few outweigh the few hundredths by
which the fastest kernels of a GEMM differ, and a choice is between these. So one of two forests
counts what is more than 0.05 octaves off by its size alone (P. J. Huber, "Robust Estimation of a
Location Parameter", 1964).
"""

SMALL = LearnerOptions(
    n_trees=64, depth=4, learning_rate=0.1, l2_leaf_reg=3.0, column_share=1.0, teacher=None
)
"""For tables of a few hundred rows."""

FOR_FEW_OF_KERNELS = replace(SMALL, n_trees=200, column_share=0.5, n_alike=2)
"""For a few hundred rows of known kernels."""

FEW_ROWS = 2000


def learn(
    columns: Columns, target: Floats, options: LearnerOptions, unlabelled: Columns | None = None
) -> Forest:
    """Return a forest of log2 targets.

    columns: float32 array of shape (n_features, n_rows); target: shape (n_rows,);
    unlabelled: float32 array of shape (n_features, n_more), shapes that were not measured, for
    the teacher to label.
    """
    rows = columns.T
    # CatBoost keeps targets as float32, and refuses those that are all equal.
    if np.ptp(target.astype(np.float32)) == 0.0 or not np.ptp(rows, axis=0).any():
        return constant_forest(float(target.mean()))
    if options.teacher is not None:
        if unlabelled is not None:
            rows = np.concatenate([rows, unlabelled.T])
        target = _taught(columns.T, target, rows, options.teacher, options.seed)
    if options.teacher is None:
        return mean_of([_student(rows, target, options, seed) for seed in range(options.n_alike)])
    # The labels of a teacher have no noise to be followed.
    return with_refitted_leaves(_student(rows, target, options, 0), rows.T, target)


def _student(rows: Columns, target: Floats, options: LearnerOptions, number: int) -> Forest:
    """Return one of the forests that are averaged, by its number."""
    student = _catboost(
        n_trees=options.n_trees,
        depth=options.depth,
        learning_rate=options.learning_rate,
        l2_leaf_reg=options.l2_leaf_reg,
        rsm=options.column_share,
        random_strength=0.0,
        random_seed=options.seed + number,
        loss_function=options.losses[number % len(options.losses)],
    )
    student.fit(rows, target)
    return forest_of(student, options.depth)


def _taught(rows: Columns, target: Floats, asked: Columns, teacher: Teacher, seed: int) -> Floats:
    """Return the teacher's answers for the rows of `asked`, which begins with `rows`."""
    large: dict[str, Any] = {
        "n_trees": teacher.n_trees,
        "depth": 8,
        "learning_rate": teacher.learning_rate,
        "l2_leaf_reg": 1.0,
        "rsm": 0.2,
    }
    robust = _catboost(**large, loss_function="MAE", random_seed=seed + 1).fit(rows, target)
    middle = robust.predict(asked)
    calm = _calmed(target, middle[: len(target)])
    squared = [
        _catboost(**large, random_seed=seed + number).fit(rows, calm).predict(asked)
        for number in (2, 3)
    ]
    random_trees = ExtraTreesRegressor(
        teacher.n_random, max_features=0.5, random_state=seed, n_jobs=1
    )
    spread = random_trees.fit(rows, calm).predict(asked)
    answers: Floats = (middle + squared[0] + squared[1]) / 6.0 + spread / 2.0
    return answers


def _calmed(target: Floats, middle: Floats) -> Floats:
    """Return targets with outliers pulled in towards the robust model's answers."""
    reach = float(np.clip(2.0 * np.quantile(np.abs(target - middle), 0.8), 0.1, 0.5))
    calm: Floats = np.clip(target, middle - reach, middle + reach)
    return calm


def _catboost(*, n_trees: int, **options: object) -> CatBoostRegressor:
    return CatBoostRegressor(
        iterations=n_trees,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        bootstrap_type="No",
        **options,
    )
