"""Rebuild the tables of nuclides, cross sections and fluorescence that ship with the package.

Needs two packages that Spectraloom itself does not: ``actigamma`` 0.1.5 (Apache-2.0; lines and
half-lives of the UK decay data library UKDD-2012) and ``xraylib`` 4.3.0 (BSD-3-Clause; photon
cross sections up to 800 keV)::

    python scripts/build_gamma_tables.py src/spectraloom/physics/gamma/tables

The same versions give the same files. What is typed in below is marked with its source.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import actigamma
import numpy as np
import xraylib
from scipy.interpolate import CubicSpline

UKDD, ENSDF, BOTH = "UKDD-2012", "ENSDF-2023", "UKDD-2012 and ENSDF-2023"
LIBRARY = (
    "UK decay data library of 2012, as distributed with actigamma 0.1.5 (Apache-2.0); K-beta "
    "x-rays that it files as one line: told apart by energies and rates of xraylib 4.3.0"
)
SOURCES = {
    UKDD: LIBRARY,
    ENSDF: "Evaluated Nuclear Structure Data File, September 2023: feeding of the long-lived level "
    "and the transitions into it, conversion included",
    BOTH: f"{LIBRARY}; gamma lines of about 1 % and more: Evaluated Nuclear Structure Data File, "
    "September 2023",
}
SYMBOLS = [xraylib.AtomicNumberToSymbol(z) for z in range(1, 101)]

# -- nuclides ----------------------------------------------------------------------------------

PARENTS = """
H3 Be7 Be10 C11 C14 N13 N16 O15 O19 F18 Na22 Na24 Mg27 Mg28 Al26 Al28 Si31 Si32 P32 P33 S35 S37
Cl36 Cl38 Ar37 Ar39 Ar41 Ar42 K40 K42 K43 Ca41 Ca45 Ca47 Ca49 Sc43 Sc44 Sc44m Sc46 Sc47 Sc48 Sc49
Ti44 Ti45 Ti51 V48 V49 V52 Cr48 Cr49 Cr51 Mn52 Mn52m Mn53 Mn54 Mn56 Fe52 Fe55 Fe59 Fe60 Co55 Co56
Co57 Co58 Co58m Co60 Co60m Co61 Ni56 Ni57 Ni59 Ni63 Ni65 Cu60 Cu61 Cu62 Cu64 Cu66 Cu67 Zn62 Zn63
Zn65 Zn69 Zn69m Zn72 Ga66 Ga67 Ga68 Ga72 Ge68 Ge69 Ge71 Ge75 Ge77 As71 As72 As73 As74 As76 As77
Se72 Se73 Se75 Se79 Se81 Se81m Br75 Br76 Br77 Br80 Br80m Br82 Br83 Br84 Kr79 Kr81 Kr81m Kr83m Kr85
Kr85m Kr87 Kr88 Kr89 Rb81 Rb82 Rb83 Rb84 Rb86 Rb87 Rb88 Rb89 Sr82 Sr83 Sr85 Sr85m Sr87m Sr89 Sr90
Sr91 Sr92 Y86 Y87 Y87m Y88 Y90 Y90m Y91 Y91m Y92 Y93 Y94 Zr86 Zr88 Zr89 Zr89m Zr93 Zr95 Zr97 Nb90
Nb91m Nb92m Nb93m Nb94 Nb95 Nb95m Nb96 Nb97 Nb97m Mo90 Mo91 Mo93 Mo93m Mo99 Mo101 Tc94 Tc94m Tc95
Tc95m Tc96 Tc97m Tc98 Tc99 Tc99m Tc101 Ru97 Ru103 Ru105 Ru106 Rh99 Rh101 Rh101m Rh103m Rh104 Rh105
Rh105m Rh106 Rh106m Pd103 Pd107 Pd109 Pd111 Pd112 Ag105 Ag106 Ag106m Ag107m Ag108 Ag108m Ag109m
Ag110 Ag110m Ag111 Ag111m Ag112 Cd107 Cd109 Cd111m Cd113m Cd115 Cd115m Cd117 Cd117m In111 In113m
In114 In114m In115m In116m In117 In117m Sn113 Sn113m Sn117m Sn119m Sn121 Sn121m Sn123 Sn125 Sn126
Sb119 Sb120m Sb122 Sb124 Sb125 Sb126 Sb126m Sb127 Sb128 Sb129 Te121 Te121m Te123m Te125m Te127
Te127m Te129 Te129m Te131 Te131m Te132 Te133 Te133m Te134 I121 I122 I123 I124 I125 I126 I128 I129
I130 I131 I132 I133 I134 I135 Xe122 Xe123 Xe125 Xe127 Xe129m Xe131m Xe133 Xe133m Xe135 Xe135m Xe137
Xe138 Cs129 Cs131 Cs132 Cs134 Cs134m Cs135 Cs136 Cs137 Cs138 Ba128 Ba131 Ba133 Ba133m Ba135m Ba137m
Ba139 Ba140 Ba141 Ba142 La138 La140 La141 La142 Ce139 Ce141 Ce143 Ce144 Pr142 Pr143 Pr144 Pr144m
Pr145 Nd140 Nd147 Nd149 Pm143 Pm144 Pm145 Pm146 Pm147 Pm148 Pm148m Pm149 Pm151 Sm145 Sm151 Sm153
Sm156 Eu145 Eu146 Eu147 Eu148 Eu149 Eu150 Eu152 Eu152m Eu154 Eu155 Eu156 Eu157 Gd146 Gd147 Gd149
Gd151 Gd153 Gd159 Tb149 Tb152 Tb155 Tb157 Tb158 Tb160 Tb161 Dy159 Dy165 Dy166 Ho163 Ho166 Ho166m
Er165 Er167m Er169 Er171 Tm167 Tm168 Tm170 Tm171 Tm172 Yb169 Yb175 Yb177 Lu172 Lu172m Lu173 Lu174
Lu174m Lu176 Lu177 Lu177m Hf172 Hf175 Hf177m Hf178m Hf178n Hf179m Hf179n Hf180m Hf181 Hf182 Ta179
Ta182 Ta183 W178 W181 W185 W187 W188 Re183 Re184 Re184m Re186 Re186m Re188 Os185 Os191 Os191m Os193
Os194 Ir190 Ir191m Ir192 Ir192m Ir192n Ir193m Ir194 Pt191 Pt193m Pt195m Pt197 Au194 Au195 Au196
Au197m Au198 Au199 Hg194 Hg195m Hg197 Hg197m Hg203 Tl200 Tl201 Tl202 Tl204 Tl206 Tl207 Tl208 Tl209
Tl210 Pb201 Pb203 Pb204m Pb205 Pb209 Pb210 Pb211 Pb212 Pb214 Bi205 Bi206 Bi207 Bi208 Bi210 Bi210m
Bi211 Bi212 Bi213 Bi214 Po208 Po209 Po210 Po211 Po212 Po213 Po214 Po215 Po216 Po218 At211 At215
At217 At218 Rn217 Rn218 Rn219 Rn220 Rn222 Fr221 Fr223 Ra223 Ra224 Ra225 Ra226 Ra228 Ac225
Ac227 Ac228 Th226 Th227 Th228 Th229 Th230 Th231 Th232 Th233 Th234 Pa230 Pa231 Pa232 Pa233 Pa234
Pa234m U230 U231 U232 U233 U234 U235 U235m U236 U237 U238 U239 U240 Np235 Np236 Np237 Np238 Np239
Np240 Np240m Pu236 Pu237 Pu238 Pu239 Pu240 Pu241 Pu242 Pu243 Pu244 Pu246 Am240 Am241 Am242 Am242m
Am243 Am244 Am245 Am246m Cm241 Cm242 Cm243 Cm244 Cm245 Cm246 Cm247 Cm248 Bk247 Bk249 Bk250 Cf248
Cf249 Cf250 Cf251 Cf252 Cf253 Es253 Es254
"""

# Decays per decay of the parent that end in a long-lived level of the daughter: what the lists of
# lines do not say. From the level schemes of ENSDF, but for those in BY_LINES.
TO_ISOMER: dict[str, tuple[str, float]] = {
    "Fe52": ("Mn52m", 1.0),
    "Fe60": ("Co60m", 1.0),
    "Br77": ("Se77m", 0.0208),
    "Br83": ("Kr83m", 0.9998),
    "Rb81": ("Kr81m", 0.960),
    "Rb83": ("Kr83m", 0.743),
    "Sr91": ("Y91m", 0.582),
    "Y87": ("Sr87m", 0.997),
    "Zr89": ("Y89m", 0.9988),
    "Nb90": ("Zr90m", 0.983),
    "Zr93": ("Nb93m", 0.97),
    "Zr95": ("Nb95m", 0.0108),
    "Zr97": ("Nb97m", 0.950),
    "Mo93": ("Nb93m", 0.88),
    "Mo99": ("Tc99m", 0.878),
    "Ru103": ("Rh103m", 0.988),
    "Ru105": ("Rh105m", 0.276),
    "Pd103": ("Rh103m", 0.9988),
    "Pd109": ("Ag109m", 1.0),
    "Pd111": ("Ag111m", 0.9976),
    "Cd107": ("Ag107m", 1.0),
    "Cd109": ("Ag109m", 1.0),
    "Cd115": ("In115m", 1.0),
    "Cd117": ("In117m", 0.918),
    "Cd117m": ("In117m", 0.00996),
    "In117": ("Sn117m", 0.0034),
    "Sn113": ("In113m", 1.0),
    "Sn126": ("Sb126m", 1.0),
    "Sb125": ("Te125m", 0.231),
    "Sb127": ("Te127m", 0.171),
    "Sb129": ("Te129m", 0.162),
    "I121": ("Te121m", 0.0029),
    "I131": ("Xe131m", 0.0109),
    "I133": ("Xe133m", 0.0292),
    "I135": ("Xe135m", 0.166),
    "Cs137": ("Ba137m", 0.944),
    "Ce144": ("Pr144m", 0.0098),
    "Tm167": ("Er167m", 0.980),
    "Lu177m": ("Hf177m", 0.774),
    "Hf172": ("Lu172m", 1.0),
    "Os191": ("Ir191m", 1.0),
    "Os193": ("Ir193m", 0.0032),
    "Hg197m": ("Au197m", 0.086),
    "Bi205": ("Pb205m", 0.141),
    "Th234": ("Pa234m", 1.0),
    "U240": ("Np240m", 1.0),
    "Pu239": ("U235m", 0.999),
    "Pu246": ("Am246m", 1.0),
}

# Energy, photons per 1000 decays and their standard deviation in ENSDF, where the library of 2012
# is off by more than newer evaluations leave open: 3 to 6 % for Bi-214 and 12 % for Ac-228.
REVISED = {
    "Bi214": """
609.318:454.4:1.9 665.45:15.4:0.086 768.36:48.89:0.14 806.17:12.62:0.064 934.05:31.53:0.14
1120.28:149:0.45 1155.19:16.49:0.077 1238.1:58.3:0.18 1280.96:14.35:0.073 1377.65:39.85:0.14
1401.5:13.33:0.059 1407.98:23.88:0.086 1509.2:21.27:0.14 1661.28:10.46:0.064 1729.6:28.72:0.32
1764.5:152.9:0.5 1847.4:20.27:0.14 2118.5:11.56:0.091 2204.1:49.17:0.23 2447.7:15.45:0.091
""",
    "Ac228": """
99.45:12.6:0.7 129.082:24.2:0.9 153.972:7.22:0.21 209.264:38.9:0.7 270.272:34.6:0.6
328.05:29.5:1.2 338.37:112.7:1.9 409.548:19.2:0.4 463.073:44:0.7 562.3:8.7:0.3 755.2:10:0.3
772.1:14.9:0.3 795.069:42.5:0.7 835.6:16.1:0.6 840.2:9.1:0.4 911.316:258:4 964.843:49.9:0.9
969.161:158:3 1459.2:8.3:0.8 1495.8:8.6:0.4 1587.9:32.2:0.8 1630.4:15.1:0.4
""",
}
BY_LINES = {"Cs137", "Zr93", "Mo93"}  # whose fraction is that of UKDD's own beta or capture lines
PURE = {"Ag106m", "Cd117m", "In116m", "Am246m"}  # isomers that the sums of rounded lines leave open
SECOND_ISOMERS = {
    "Hf178n": "Hf178m",
    "Hf179n": "Hf179",
    "Ir192n": "Ir192",
}  # by isomeric transition
LEAST_BRANCH = 1e-4
LEAST_INTENSITY = 1e-6  # photons per decay
STABLE = 1e20  # s; daughters with longer half-lives are not followed
LEAST_ENERGY = 1.0


def intensities(entry: dict[str, Any], kind: str) -> np.ndarray:
    """Energy (keV), its deviation, photons or particles per decay, their deviation; by rows."""
    if kind not in entry:
        return np.zeros((4, 0))
    rows = {key: np.asarray(value, dtype=float) for key, value in entry[kind]["lines"].items()}
    relative = rows["norms_unc"] / rows["norms"]
    value = rows["intensities"] * rows["norms"]
    deviation = np.hypot(rows["intensities_unc"] * rows["norms"], value * relative)
    return np.array([rows["energies"] / 1e3, rows["energies_unc"] / 1e3, value, deviation])


def split(name: str) -> tuple[int, int, str]:
    """Atomic number, mass number and mark of the isomer."""
    symbol, mass, state = re.fullmatch(r"([A-Z][a-z]?)(\d+)([mn]?)", name).groups()
    return SYMBOLS.index(symbol) + 1, int(mass), state


def decays(name: str, library: dict[str, Any]) -> list[list[Any]]:
    """Daughter, mode, fraction and source of each kind of decay.

    The shares of alpha, beta and capture are the sums of their lines; what is left to an isomer is
    the isomeric transition, to a ground state spontaneous fission.
    """
    z, a, state = split(name)
    shares = {k: float(intensities(library[name], k)[2].sum()) for k in ("alpha", "beta", "ec")}
    rest = 1.0 - sum(shares.values())
    whole = sum(shares.values())
    transition = bool(state) and rest > LEAST_BRANCH * 5 and name not in PURE
    if not transition and abs(rest) < 0.065 and name != "Cf252":
        shares = {kind: share / whole for kind, share in shares.items()}
    found: list[list[Any]] = []
    for kind, mode, dz, da in (
        ("alpha", "alpha", -2, -4),
        ("beta", "beta-", 1, 0),
        ("ec", "ec/beta+", -1, 0),
    ):
        if shares[kind] < LEAST_BRANCH:
            continue
        ground = f"{SYMBOLS[z + dz - 1]}{a + da}"
        isomer, fraction = TO_ISOMER.get(name, ("", 0.0))
        if isomer[:-1] != ground:
            found.append([ground, mode, shares[kind], UKDD])
            continue
        fraction = min(fraction, shares[kind])
        found.append([isomer, mode, fraction, UKDD if name in BY_LINES else ENSDF])
        if shares[kind] - fraction > LEAST_BRANCH:
            found.append([ground, mode, shares[kind] - fraction, UKDD])
    if transition:
        found.append([SECOND_ISOMERS.get(name, f"{SYMBOLS[z - 1]}{a}"), "it", rest, UKDD])
    return [[*row[:2], float(f"{row[2]:.6g}"), row[3]] for row in found]


def lines(name: str, library: dict[str, Any]) -> Iterator[list[Any]]:
    """Energy, its deviation, photons per decay, their deviation, and kind of each line.

    Lines of the isomer that a decay feeds are left to the isomer. Annihilation photons, which the
    library files under x-rays, are told apart. It has those of Gd-147 once more among the gammas,
    where a line at the rest energy of the electron without uncertainty is no transition.
    """
    isomer, fraction = TO_ISOMER.get(name, ("", 0.0))
    fed = intensities(library[isomer], "gamma") if isomer else np.zeros((4, 0))
    rows = (tuple(map(float, row.split(":"))) for row in REVISED.get(name, "").split())
    revised = {energy: (value / 1e3, deviation / 1e3) for energy, value, deviation in rows}
    for kind in ("gamma", "x-ray"):
        merged: dict[float, list[float]] = {}
        entry = library[name]
        rows = x_rays(name, entry) if kind == "x-ray" else intensities(entry, kind)
        for energy, spread, value, deviation in rows.T:
            if value < LEAST_INTENSITY or energy < LEAST_ENERGY:
                continue
            if kind == "gamma" and energy == 511.0 and spread == 0.0:
                continue
            same = np.abs(fed[0] - energy) < 0.3
            if kind == "gamma" and np.any(np.abs(fed[2, same] * fraction / value - 1) < 0.3):
                continue
            row = merged.setdefault(round(float(energy), 3), [spread, 0.0, 0.0])
            row[1] += value
            row[2] = float(np.hypot(row[2], deviation))
        for energy, (spread, summed, uncertainty) in merged.items():
            value, deviation = summed, uncertainty
            if kind == "gamma" and energy in revised:
                value, deviation = revised.pop(energy)
            annihilation = kind == "x-ray" and abs(energy - 511.0) < 0.1
            numbers = (f"{spread:.2g}", f"{value:.5g}", f"{deviation:.2g}")
            label = "annihilation" if annihilation else kind
            yield [511.0 if annihilation else energy, *map(float, numbers), label]
    if revised:
        raise SystemExit(f"{name} has no lines of {', '.join(map(str, revised))} keV to revise")


def nuclide_table() -> dict[str, Any]:
    """All parents with the radioactive nuclides that they decay to."""
    library = actigamma.Decay2012Database().raw
    table: dict[str, Any] = {}
    waiting = PARENTS.split()
    while waiting:
        name = waiting.pop(0)
        if name in table:
            continue
        branches = decays(name, library)
        table[name] = {
            "half_life": float(library[name]["halflife"]),
            "source": BOTH if name in REVISED else UKDD,
            "decays": branches,
            "lines": sorted(lines(name, library)),
        }
        waiting += [
            daughter
            for daughter, *_ in branches
            if daughter in library and library[daughter]["halflife"] < STABLE
        ]
    return dict(sorted(table.items(), key=lambda item: split(item[0])))


# -- K x-rays ----------------------------------------------------------------------------------

K_BETA = {  # beyond the N shell xraylib has one rate for a whole shell
    3: (xraylib.KM2_LINE,),
    1: (xraylib.KM3_LINE, xraylib.KM4_LINE, xraylib.KM5_LINE),
    2: (
        *(xraylib.KN2_LINE, xraylib.KN3_LINE, xraylib.KN4_LINE, xraylib.KN5_LINE),
        *(xraylib.KO_LINE, xraylib.KP_LINE),
    ),
}
SAME_ENERGY = 6e-4  # of the energy; K-alpha lines of the library are that near to xraylib's
APART = 0.2  # keV; half of what the best detectors resolve at these energies


def together(z: int, parts: tuple[int, ...]) -> tuple[float, float]:
    """Mean energy (keV) and rate of some lines of an element per x-ray of its K shell."""
    found = []
    for part in parts:
        try:
            found.append((xraylib.LineEnergy(z, part), xraylib.RadRate(z, part)))
        except ValueError:  # the element has no such line
            continue
    rate = sum(one for _, one in found)
    return (sum(energy * one for energy, one in found) / rate if rate else 0.0), rate


def k_alpha(name: str, entry: dict[str, Any], rows: np.ndarray) -> dict[int, np.ndarray]:
    """Elements that emit K x-rays, by atomic number, and which rows are their K-alpha lines.

    They are the daughters, and in an isomeric transition the nuclide itself.
    """
    z, _, state = split(name)
    after = {"alpha": z - 2, "beta": z + 1, "ec": z - 1}
    found = {}
    for element in {after[kind] for kind in after if kind in entry} | ({z} if state else set()):
        near = [
            np.abs(together(element, K_LINES[line])[0] / rows[0] - 1.0) < SAME_ENERGY
            for line in ("alpha 1", "alpha 2")
        ]
        if all(one.any() for one in near):
            found[element] = near[0] | near[1]
    return found


def k_beta(rows: np.ndarray, alpha: dict[int, np.ndarray]) -> dict[int, list[int]]:
    """Rows that are K-beta lines of each element, by rising energy.

    Lines of neighbours overlap: a row belongs where its energy and intensity fit best to a line, or
    to lines filed as one under the energy of the strongest. What intensity to expect is told by the
    K-alpha lines.
    """
    expected = []  # element, energy, photons per decay
    for element, which in alpha.items():
        rate = sum(together(element, K_LINES[line])[1] for line in ("alpha 1", "alpha 2"))
        parts = {line: together(element, lines) for line, lines in K_BETA.items()}
        for members in ((1, 3, 2), (1, 3), (1,), (3,), (2,)):
            photons = sum(parts[line][1] for line in members) / rate * rows[2, which].sum()
            expected.append((element, parts[members[0]][0], photons))
    found: dict[int, list[int]] = {element: [] for element in alpha}
    for index in np.argsort(rows[0]):
        energy, value = rows[0, index], rows[2, index]
        if any(which[index] for which in alpha.values()):
            continue
        # The library rounds energies to some 0.3 keV; intensities agree within some 20 %.
        misfits = [
            (((energy - at) / 0.3) ** 2 + (np.log(value / photons) / 0.2) ** 2, element)
            for element, at, photons in expected
            if photons
        ]
        misfit, element = min(misfits, default=(np.inf, 0))
        if misfit < 9.0:
            found[element].append(int(index))
    return found


def apart(lines: list[tuple[float, float]], photons: float) -> list[tuple[float, float]]:
    """Energies of lines and their shares of some photons, without what is too near or too faint.

    Lines are joined to the one before if they are nearer than `APART`, or one has fewer photons
    than the tables hold.
    """
    whole = sum(rate for _, rate in lines)
    found: list[tuple[float, float]] = []
    for energy, rate in sorted(lines):
        if not rate:
            continue
        share = rate / whole
        if found and (
            energy - found[-1][0] < APART or photons * min(share, found[-1][1]) < LEAST_INTENSITY
        ):
            before, weight = found.pop()
            energy = (energy * share + before * weight) / (share + weight)
            share += weight
        found.append((energy, share))
    return found


def x_rays(name: str, entry: dict[str, Any]) -> np.ndarray:
    """Rows of x-rays as those of :func:`intensities`, with K-beta lines filed as one told apart.

    The library has K-beta as one line, as two (M shell; N shell and beyond) or as all three.
    Energies and rates within one or two are those of xraylib; the photons in all stay.
    """
    rows = intensities(entry, "x-ray")
    kept = [True] * rows.shape[1]
    added = []
    for element, found in k_beta(rows, k_alpha(name, entry, rows)).items():
        if len(found) not in (1, 2):
            continue
        members = (3, 1, 2) if len(found) == 1 else (3, 1)
        _, _, value, deviation = rows[:, found[0]]
        lines = apart([together(element, K_BETA[line]) for line in members], value)
        if len(lines) > 1:
            kept[found[0]] = False
            added += [[energy, 0.0, value * share, deviation * share] for energy, share in lines]
    return np.hstack([rows[:, kept], np.reshape(added, (-1, 4)).T])


# -- cross sections ----------------------------------------------------------------------------

ELECTRON = 510.99895  # keV, CODATA 2018
RADIUS_SQUARED = 0.07940787  # classical electron radius squared, barn
AVOGADRO = 6.02214076e23
FINE_STRUCTURE = 1.0 / 137.035999
# Standard atomic weights, IUPAC 2021, abridged; mass numbers where there is none. xraylib's own are
# rounded to two decimals, which is 0.2 % for hydrogen.
WEIGHTS = """
1.008 4.0026 6.94 9.0122 10.81 12.011 14.007 15.999 18.998 20.180 22.990 24.305 26.982 28.085 30.974
32.06 35.45 39.95 39.098 40.078 44.956 47.867 50.942 51.996 54.938 55.845 58.933 58.693 63.546 65.38
69.723 72.630 74.922 78.971 79.904 83.798 85.468 87.62 88.906 91.224 92.906 95.95 97 101.07 102.91
106.42 107.87 112.41 114.82 118.71 121.76 127.60 126.90 131.29 132.91 137.33 138.91 140.12 140.91
144.24 145 150.36 151.96 157.25 158.93 162.50 164.93 167.26 168.93 173.05 174.97 178.49 180.95
183.84 186.21 190.23 192.22 195.08 196.97 200.59 204.38 207.2 208.98 209 210 222 223 226 227 232.04
231.04 238.03
"""
LOWEST, SEAM, HIGHEST = 1.0, 799.0, 10000.0  # keV; above the seam xraylib has no values

# M. J. Berger, J. H. Hubbell et al., XCOM: Photon Cross Sections Database, NIST Standard Reference
# Database 8: barn per atom. The fits are made on these elements only; others are for checks.
XCOM_ENERGIES = (1250, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10000)  # keV
XCOM_PAIR = {  # in the field of the nucleus
    1: (7.805e-6, 4.385e-5, 1.758e-4, 5.048e-4, 8.202e-4, 1.102e-3, 1.355e-3, 1.784e-3, 2.138e-3),
    6: (2.870e-4, 1.594e-3, 6.356e-3, 1.820e-2, 2.955e-2, 3.966e-2, 4.876e-2, 6.418e-2, 7.686e-2),
    13: (1.404e-3, 7.652e-3, 3.023e-2, 8.595e-2, 0.1390, 0.1861, 0.2284, 0.2999, 0.3584),
    26: (6.520e-3, 3.320e-2, 0.1265, 0.3506, 0.5600, 0.7449, 0.9097, 1.188, 1.415),
    53: (3.969e-2, 0.1836, 0.6193, 1.561, 2.393, 3.110, 3.728, 4.772, 5.632),
    74: (9.852e-2, 0.4611, 1.430, 3.258, 4.778, 6.053, 7.149, 8.985, 10.50),
    82: (0.1301, 0.6215, 1.875, 4.102, 5.891, 7.389, 8.680, 10.84, 12.63),
    92: (0.1761, 0.8691, 2.546, 5.294, 7.419, 9.191, 10.71, 13.27, 15.41),
}
XCOM_TRIPLET = (0, 0, 0, 4.035e-5, 1.647e-4, 3.283e-4, 5.042e-4, 8.503e-4, 1.170e-3)  # hydrogen
XCOM_PHOTO_ENERGIES = (800, 1000, *XCOM_ENERGIES)
XCOM_PHOTO = {
    6: "4.277e-5 2.659e-5 1.665e-5 1.209e-5 7.631e-6 4.282e-6 2.947e-6 2.239e-6 1.802e-6 1.294e-6 "
    "1.009e-6",
    13: "1.905e-3 1.184e-3 7.562e-4 5.476e-4 3.420e-4 1.892e-4 1.291e-4 9.746e-5 7.812e-5 5.577e-5 "
    "4.330e-5",
    26: "5.240e-2 3.259e-2 2.092e-2 1.509e-2 9.306e-3 5.052e-3 3.403e-3 2.547e-3 2.029e-3 1.436e-3 "
    "1.109e-3",
    53: "1.390 0.8683 0.5573 0.3989 0.2428 0.1288 8.527e-2 6.305e-2 4.975e-2 3.476e-2 2.660e-2",
    74: "6.235 3.917 2.528 1.803 1.091 0.5725 0.3759 0.2761 0.2167 0.1503 0.1144",
    82: "9.878 6.226 4.020 2.863 1.732 0.9054 0.5927 0.4344 0.3404 0.2355 0.1790",
    92: "16.57 10.49 6.792 4.830 2.917 1.520 0.9918 0.7251 0.5671 0.3911 0.2968",
}


def klein_nishina(energy: float) -> float:
    """Total cross section per electron, barn."""
    a = energy / ELECTRON
    log = np.log1p(2 * a)
    first = (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a)
    return float(
        2 * np.pi * RADIUS_SQUARED * (first + log / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2)
    )


def born_pair(energy: float) -> float:
    """Pair production per atom over the square of Z, barn: Bethe and Heitler without screening.

    Series of L. C. Maximon, J. Res. NBS 72B (1968) 79.
    """
    k = energy / ELECTRON
    if k <= 2:
        return 0.0
    if k < 4:
        eta = 2 * (k - 2) / (2 + k + 2 * np.sqrt(2 * k))
        series = 1 + eta / 2 + 23 * eta**2 / 40 + 11 * eta**3 / 60 + 29 * eta**4 / 960
        born = 2 * np.pi / 3 * ((k - 2) / k) ** 3 * series
    else:
        log = np.log(2 * k)
        second = 6 * log - 3.5 + 2 / 3 * log**3 - log**2 - np.pi**2 / 3 * log
        second += 2 * 1.2020569 + np.pi**2 / 6
        born = 28 / 9 * log - 218 / 27 + (2 / k) ** 2 * second
        born -= (2 / k) ** 4 * (3 / 16 * log + 1 / 8)
        born -= (2 / k) ** 6 * (29 / 2304 * log - 77 / 13824)
    return float(FINE_STRUCTURE * RADIUS_SQUARED * born)


def fitted_pair() -> CubicSpline:
    """Logarithm of the pair cross section over Born's: coefficients of a cubic in (alpha Z)^2.

    The factor stands for the attraction of the nucleus and the screening by the electrons. It is
    fitted at each energy of XCOM; a spline in the logarithm of the energy joins the coefficients.
    """
    fitted = np.array(sorted(XCOM_PAIR))
    born = np.array([born_pair(energy) for energy in XCOM_ENERGIES])
    ratios = np.log([XCOM_PAIR[z] / (z**2 * born) for z in fitted])
    powers = np.vander((FINE_STRUCTURE * fitted) ** 2, 4)
    return CubicSpline(np.log(XCOM_ENERGIES), np.linalg.lstsq(powers, ratios, rcond=None)[0].T)


def fitted_photo() -> CubicSpline:
    """Logarithm of the photoelectric effect over that at 800 keV: coefficients of a square in Z."""
    fitted = np.array(sorted(XCOM_PHOTO))
    values = np.array([XCOM_PHOTO[z].split() for z in fitted], dtype=float)
    logs = np.log(values / values[:, :1])
    powers = np.vander(fitted, 3)
    return CubicSpline(np.log(XCOM_PHOTO_ENERGIES), np.linalg.lstsq(powers, logs, rcond=None)[0].T)


def fitted_triplet() -> CubicSpline:
    """Logarithm of pairs in the field of an electron over the square of what is above threshold."""
    known = [(e, t) for e, t in zip(XCOM_ENERGIES, XCOM_TRIPLET, strict=True) if t]
    energy, triplet = np.array(known).T
    return CubicSpline(np.log(energy), np.log(triplet / (energy - 4 * ELECTRON) ** 2))


class CrossSections:
    """Cross sections of an element at one energy, cm2/g."""

    def __init__(self) -> None:
        self.weights = np.array(WEIGHTS.split(), dtype=float)
        self._pair, self._photo, self._triplet = fitted_pair(), fitted_photo(), fitted_triplet()

    def pair(self, z: int, energy: float) -> float:
        """Pair production in the fields of nucleus and electrons, barn per atom."""
        if energy <= 2 * ELECTRON:
            return 0.0
        at = np.log(max(energy, XCOM_ENERGIES[0]))
        powers = np.vander([(FINE_STRUCTURE * z) ** 2], 4)[0]
        nucleus = z**2 * born_pair(energy) * np.exp(powers @ self._pair(at))
        above = max(energy - 4 * ELECTRON, 0.0)
        return float(nucleus + z * above**2 * np.exp(self._triplet(max(at, np.log(3000.0)))))

    def element(self, z: int, energy: float) -> tuple[float, float, float, float]:
        """Photoelectric, coherent, incoherent and pair cross sections, cm2/g."""
        weight = self.weights[z - 1]
        scale = xraylib.AtomicWeight(z) / weight
        if energy <= SEAM:
            photo, coherent = xraylib.CS_Photo(z, energy), xraylib.CS_Rayl(z, energy)
            return photo * scale, coherent * scale, xraylib.CS_Compt(z, energy) * scale, 0.0
        atoms = 1e-24 * AVOGADRO / weight
        # Quantities at the seam carry on, so that there is no step.
        falls = (np.vander([z], 3)[0] @ self._photo(np.log(e)) for e in (energy, SEAM))
        photo = scale * xraylib.CS_Photo(z, SEAM) * np.exp(next(falls) - next(falls))
        coherent = scale * xraylib.CS_Rayl(z, SEAM) * (SEAM / energy) ** 2
        # Binding lowers incoherent scattering by a part that falls with the square of the energy.
        bound = 1 - scale * xraylib.CS_Compt(z, SEAM) / (klein_nishina(SEAM) * z * atoms)
        incoherent = klein_nishina(energy) * z * atoms * (1 - bound * (SEAM / energy) ** 2)
        return photo, coherent, incoherent, self.pair(z, energy) * atoms


def edges(z: int) -> set[float]:
    """Energies just below and above each step upward of the photoelectric effect, keV.

    They are looked for in the values: some lie 2 % away from the edge energies xraylib states.
    """
    scan = np.geomspace(LOWEST, 130.0, 8000)
    values = [xraylib.CS_Photo(z, float(energy)) for energy in scan]
    found = set()
    for low, high in zip(
        scan[:-1][np.diff(values) > 0], scan[1:][np.diff(values) > 0], strict=True
    ):
        for _ in range(4):
            inner = np.linspace(low, high, 17)
            step = int(np.argmax(np.diff([xraylib.CS_Photo(z, float(energy)) for energy in inner])))
            low, high = inner[step], inner[step + 1]
        found |= {float(low), float(high)}
    return found


def grid(z: int) -> np.ndarray:
    """Energies of an element, with one on each side of every absorption edge, keV."""
    found = set(np.round(np.geomspace(LOWEST, 800.0, 120), 4).tolist())
    found |= set(np.round(np.geomspace(800.0, HIGHEST, 50), 3).tolist())
    found |= {1021.998, 1030.0, 1045.0, 1070.0, 1100.0, 1150.0, 2043.996}
    return np.array(sorted(found | edges(z)))


def element_table() -> dict[str, np.ndarray]:
    """Cross sections of the elements, one after the other, in single precision."""
    sections = CrossSections()
    rows, first = [], [0]
    for z in range(1, 93):
        energies = grid(z)
        rows.append(np.array([(e, *sections.element(z, float(e))) for e in energies]))
        first.append(first[-1] + energies.size)
    table = np.concatenate(rows).T
    named = dict(
        zip(
            ("photoelectric", "coherent", "incoherent", "pair"), table[1:].astype("f4"), strict=True
        )
    )
    return {
        "symbols": np.array(SYMBOLS[:92]),
        "weights": sections.weights,
        "densities": np.array([xraylib.ElementDensity(z) for z in range(1, 93)]),
        "first": np.array(first),
        "energy": table[0],
        **named,
        "source": np.array(
            "Cross sections in cm2/g, energies in keV, densities in g/cm3. Up to 799 keV, and "
            "densities: xraylib 4.3.0 (BSD-3-Clause). Atomic weights: IUPAC 2021. Above: "
            "incoherent from Klein and Nishina, coherent falling as 1/E^2, photoelectric effect "
            "and pair production fitted to values of NIST XCOM for H, C, Al, Fe, I, W, Pb and U."
        ),
    }


K_LINES = {
    "alpha 1": (xraylib.KL3_LINE,),
    "alpha 2": (xraylib.KL2_LINE,),
    "beta 1": (xraylib.KM2_LINE, xraylib.KM3_LINE, xraylib.KM4_LINE, xraylib.KM5_LINE),
    "beta 2": (xraylib.KN2_LINE, xraylib.KN3_LINE, xraylib.KN4_LINE, xraylib.KN5_LINE),
}
LIGHTEST_SHINING = 11  # sodium; lighter elements fluoresce in less than 2 of 100 vacancies


def fluorescence_table() -> dict[str, Any]:
    """K shells: edge, share of the photoelectric effect, yield, and groups of lines."""
    shells = {}
    for z in range(LIGHTEST_SHINING, 93):
        lines = []
        for parts in K_LINES.values():
            energy, rate = together(z, parts)
            if rate > 0:
                lines.append([round(energy, 3), round(rate, 5)])
        shells[SYMBOLS[z - 1]] = [
            round(xraylib.EdgeEnergy(z, xraylib.K_SHELL), 4),
            round(1.0 - 1.0 / xraylib.JumpFactor(z, xraylib.K_SHELL), 5),
            round(xraylib.FluorYield(z, xraylib.K_SHELL), 5),
            lines,
        ]
    return {
        "source": "xraylib 4.3.0 (BSD-3-Clause): edge in keV, part of the photoelectric effect "
        "that the K shell has above it, fluorescence yield, and energy in keV and share of the "
        "groups K-alpha 1, K-alpha 2, K-beta 1 (M shell) and K-beta 2 (N shell)",
        "shells": shells,
    }


def write_fluorescence(folder: Path) -> None:
    """Write the table of K shells, a line for each."""
    table = fluorescence_table()
    rows = ",\n".join(
        f"{json.dumps(symbol)}: {json.dumps(shell)}" for symbol, shell in table["shells"].items()
    )
    text = f'{{"source": {json.dumps(table["source"])},\n"shells": {{\n{rows}\n}}}}'
    (folder / "fluorescence.json").write_text(text + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Write the tables."""
    content = {
        "sources": SOURCES,
        "columns": "Half-lives in s. Decays: daughter, mode, decays per decay, source. Lines: keV, "
        "its standard deviation, photons per decay of this very nuclide (not of its parent), the "
        "standard deviation, kind. Annihilation: two photons for each positron.",
        "nuclides": nuclide_table(),
    }
    text = json.dumps(content, indent=0)
    text = re.sub(r"\[[^\[\]]*\]", lambda found: " ".join(found[0].split()), text)
    (folder / "nuclides.json").write_text(text + "\n", encoding="utf-8")
    np.savez_compressed(folder / "elements.npz", **element_table())
    write_fluorescence(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
