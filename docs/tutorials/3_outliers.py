"""
3. Outliers: when not to trust the answer
=========================================

A model answers whatever it is shown, with the classes it knows. If something else is in the
spectrum, the sum of loadings does not fit. This tutorial finds out how badly a fit may fail before
it is called an *outlier*, and how far that can be trusted.

To use other spectra than the simulated ones, replace the line that makes ``sets``. The first two
lines sort the public GAMMA_FLOW data, the last reads labelled training spectra of your own::

    groups = sl.datasets.load("gamma_flow")
    sets = sl.evaluate.sort_by_role(groups, sl.evaluate.standard_axis(256))
    training = sl.workflow.read_prepared("my library/")
"""

from dataclasses import replace

import numpy as np

import spectraloom as sl
from spectraloom.analyze.outlier import study_outliers

sets = sl.workflow.simulated_sets(seed=0, scale=0.4)
model = sl.SupervisedNMF().fit(sets.training)

# %%
# What happens without a boundary
# -------------------------------
# The model was never shown Ra-226, U-235 or U-238, and names something all the same:

result = model.analyze(sets.unknown)
for row in range(3):
    truth, found = sets.unknown.labels[row][0], " + ".join(result.labels[row])
    print(f"{truth}: found {found}; cosine {result.quality['cosine'][row]:.2f}")

# %%
# Teach by leaving out
# --------------------
# There is no list of everything unknown. But every known source can play the unknown one: it is
# left out of the training, and its spectra are then analysed by a model that never saw it. Half of
# the spectra make the loadings, three tenths find the boundary, and the rest judges it; no
# spectrum, nor a copy of it, is on two sides.

study = study_outliers(sl.SupervisedNMF(), sets.training, seed=1)
print(study.boundary)

# %%
# Of all measures of the fit, one tells unknown spectra best: the *excess deviance per count*. The
# deviance says how far spectrum and fit are apart in terms of Poisson noise; what it exceeds its
# expected value by, per count, is the relative misfit of the model. Unlike the cosine it does not
# fall short just because there are few counts.

sl.plot.plot_importances(study)

# %%
# Above, known and unknown spectra; below, each source as it was left out. Eu-152 is hardest to
# notice: its many lines can in part be imitated by others.

sl.plot.plot_outlier_feature(study)

# %%
# The boundary is found three ways: by the first split of a decision tree, where a logistic fit
# crosses one half, and where most outliers are found while at most 1 % of the known spectra that
# taught are flagged. The last one is used.

sl.plot.plot_threshold_curves(study)

# %%
# **Accuracy** is the share of right decisions, **precision** the share of true outliers among those
# flagged, **recall** the share of outliers that were flagged. On the spectra that judge:

for name, one in study.boundaries.items():
    print(
        f"{name:>8}: {one.threshold:.3f}, accuracy {one.accuracy:.0%}, "
        f"precision {one.precision:.0%}, recall {one.recall:.0%}"
    )

# %%
# Use it
# ------
# The boundary is stored in the model, and goes with it into its file.

model.set_outlier_boundary(study.boundary)


def flagged(spectra):
    """Share of spectra that the model flags."""
    return model.analyze(spectra, denoise=False).flags["outlier"].mean()


known = sl.Spectra.concatenate([sets.single, sets.multi])
print(f"unknown sources flagged: {flagged(sets.unknown):.0%}")
print(f"known sources flagged:   {flagged(known):.0%}")

# %%
# Where it ends
# -------------
# The boundary was learned on the training set: simulated spectra. It knows the noise, and the
# differences between absorbers in that set, but not how a *measurement* differs from the
# simulation. Here the two differ little, because the measurements are simulated, too. On the
# measured GAMMA_FLOW data they differ more: in the benchmark such a boundary flags hardly any
# spectrum, known or unknown.
#
# Then take the boundary from measurements. With spectra of known content, the rate of false alarms
# can be chosen, say 2 %: the boundary is the value that 98 % of the known spectra stay below. One
# half of them sets it, the other half checks it, because a number that is judged on the spectra
# that set it is no result.

setting, checking = known[0::2], known[1::2]
feature = study.boundary.feature
level = 0.98 if study.boundary.outlier_above else 0.02
threshold = float(np.quantile(model.features(setting)[feature], level))
model.set_outlier_boundary(
    replace(study.boundary, threshold=threshold, method="98 % of known measured spectra")
)
print(f"boundary {threshold:.3f}")
print(f"known sources flagged:   {flagged(checking):.1%}")
print(f"unknown sources flagged: {flagged(sets.unknown):.1%}")

# %%
# Two more limits. A weak unknown source is hidden by the noise: few counts can contradict nothing,
# so *not flagged* does not mean *fully explained*. And an unknown source that the known ones can
# imitate is not noticed by any boundary on the fit.

strong = sets.unknown.totals > np.median(sets.unknown.totals)
for name, rows in (("weaker", ~strong), ("stronger", strong)):
    print(f"{name} half of the unknown: {flagged(sets.unknown[rows]):.0%} flagged")
