"""
1. Prepare and explore
======================

Before a model is trained, look at the spectra. Do they lie on one axis? Does one source look the
same on every detector? Which sources look so alike that they may be mixed up?

Everything here runs offline, on spectra that are simulated when the script starts. To use
others, replace the lines that make ``groups``. The first line loads the public GAMMA_FLOW data
(downloaded once), the second your own files, of any supported format::

    groups = sl.datasets.load("gamma_flow")
    groups = sl.read_groups("my measurements/")
"""

import numpy as np

import spectraloom as sl
from spectraloom.analyze.explore import mean_spectra, random_examples, similarity
from spectraloom.generate import demo_sets

drawn = demo_sets(seed=0, scale=0.25)
groups = [*drawn["training"], *drawn["single"]]

# %%
# Spectra and their axes
# ----------------------
# A :class:`~spectraloom.data.Spectra` is a table of spectra, one a row, on *one* axis, with columns
# that say more about each of them. Files from three detectors give three of them, because each
# detector has an energy calibration of its own.

for group in groups:
    print(group.column("detector")[0], group.shape, group.kind, group.axis)

# %%
# ``simulated`` is the detector whose spectra a model will learn from; ``east`` and ``west`` play
# two real instruments. Every spectrum has a *label set*: the names of what is in it.

east = groups[1]
print("columns:", *list(east.columns)[:4])
for labels in east.labels[:3]:
    print(labels)

# %%
# Six spectra, drawn at random with a seed. The numbers are counts: how many gamma quanta fell into
# each channel. They scatter as counts do (Poisson): a channel with 100 counts by about 10.

one_of_each = random_examples(east, 1)
sl.plot.plot_examples(one_of_each[:6])

# %%
# One axis for all, without losing a count
# ----------------------------------------
# To compare channel by channel, all spectra must lie on one axis. The new channels cut through the
# old ones. :func:`~spectraloom.process.rebin` shares the counts of an old channel out to the new
# channels in proportion to the overlap, so that *the total stays what it was*. What falls off the
# end of the new axis is not dropped silently: the column ``counts_outside`` says how much it is.

axis = groups[0].axis
moved = sl.process.rebin(east, axis)
before = east.totals
after = moved.totals + moved.column("counts_outside")
print(f"largest change of a total: {np.abs(after - before).max():.1e} counts")

# %%
# Interpolating the counts at the new channel centres, which is often done instead, changes the
# totals as soon as the new channels are wider or narrower than the old ones. Here they are up to 2
# % narrower, and counts are gained that nobody measured:

interpolated = np.array([np.interp(axis.centers, east.axis.centers, row) for row in east.values])
change = interpolated.sum(axis=1) / before - 1
print(f"interpolation changes the totals by {100 * change.mean():+.1f} %")

# %%
# The whole preparation in one call: select, remove exact copies of the preceding spectrum (a logger
# that stores twice), rebin to one axis, drop empty spectra, and draw at most so many of each label
# set.

spectra = sl.workflow.prepare(groups, axis=axis, limit=60, seed=0)
print(spectra.shape, spectra.kind, spectra.axis)

# %%
# Mean spectra and their spread
# -----------------------------
# One panel per label, one line per detector; the band is one standard deviation between single
# spectra. The measured spectra lie on natural background (the continuum below the peaks), the
# simulated ones do not. The background label at the end of a set says so.

sources = sl.workflow.prepare(groups, axis=axis, labels=["Am241", "Co60", "Cs137", "background"])
means = mean_spectra(sources)
sl.plot.plot_means(means)

# %%
# Read it off: Am-241 has one line at 59.5 keV, Cs-137 one at 662 keV, Co-60 two at 1173 and 1333
# keV. Left of each line lies the continuum of quanta that left only a part of their energy in the
# detector (Compton scattering).
#
# How alike are they?
# -------------------
# The *cosine similarity* of two spectra is the cosine of the angle between them, each taken as an
# arrow with one component per channel. It is 1 for the same shape, whatever the number of counts,
# and 0 if they share no channel. To compare sources rather than backgrounds, the mean background of
# a detector is subtracted from its measured means first.

measured = sl.workflow.prepare(groups[1:], axis=axis)
named = measured.with_columns(
    labels=[entry[:1] for entry in measured.labels]  # the source; the background stays background
)
clean = mean_spectra(named, subtract="background")
alike = similarity(clean, threshold=0.8)
sl.plot.plot_similarity(alike)

# %%
# Framed pairs deserve a look: the same label less alike than the threshold (is one detector badly
# calibrated? a label wrong?) or different labels more alike (the model will mix them up).

for what, pairs in (("one label, too far", alike.too_far), ("too close", alike.too_close)):
    print(f"{what}:", *pairs or ["none"])

same = [
    alike.matrix[i, j]
    for i in range(len(clean))
    for j in range(i)
    if clean.labels[i] == clean.labels[j] != "background"
]
print(f"same source on two detectors: cosine {min(same, default=np.nan):.3f} or more")

# %%
# What this cannot tell
# ---------------------
# Mean spectra hide single bad ones: that is what the examples and the spread are for. And a mean is
# an average over everything that was measured; if half of the spectra of a source were taken behind
# lead, it looks like neither half. A column such as ``absorber`` can then split a label into
# variants, as the next tutorial shows.
