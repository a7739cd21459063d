"""What to try next. Pure: chance is a hash of the experiment's seed and the trial's number, so a plan is a function.

- `random`: independent places
- `grid`: every combination in order
- `tpe`: the tree-structured Parzen estimator of Bergstra et al. (2011): after some random trials, of many candidates drawn
  near the good ones the one that is likeliest good and unlikeliest bad
- `multivariate-tpe`: the same with candidates and densities of all parameters at once, where good values depend on each other
- `hyperband`: brackets of rounds, see there
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import NormalDist

from argosy.operators.search import hyperband
from argosy.operators.search.hyperband import Hyperband, Later, Past
from argosy.operators.search.space import Parameter, grid

ALGORITHMS = ("random", "grid", "tpe", "multivariate-tpe", "hyperband")
_STARTUP, _CANDIDATES, _GOOD_SHARE = 10, 24, 0.25
_WIDTH_MIN = 0.03
_ELSEWHERE = 0.2
"""How often a value near one of a list is any other."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to search."""

    algorithm: str
    parameters: tuple[Parameter, ...]
    seed: str
    startup: int = _STARTUP
    """Random trials before `tpe` begins."""
    band: Hyperband | None = None
    """What `hyperband` was told."""


def suggest(search: Search, past: Sequence[Past], number: int) -> dict[str, str] | Later | None:
    """The assignments of the trial of this number, None when there is nothing left to try. `past` is ordered by number."""
    if search.band is not None:
        return hyperband.suggest(search.band, past, number, lambda which: _random(search, which))
    if search.algorithm == "grid":
        return next(islice(grid(search.parameters), number, None), None)
    known = [one for one in past if one.loss is not None]
    if search.algorithm in ("tpe", "multivariate-tpe") and len(known) >= search.startup:
        return _tpe(search, known, number)
    return _random(search, number)


def _random(search: Search, number: int) -> dict[str, str]:
    return {p.name: p.at(_chance(search.seed, number, p.name)) for p in search.parameters}


def _chance(*about: object) -> float:
    digest = hashlib.sha256("\0".join(str(part) for part in about).encode()).digest()
    return (int.from_bytes(digest[:7], "big") + 0.5) / 2**56


def _tpe(search: Search, known: Sequence[Past], number: int) -> dict[str, str]:
    ordered = sorted(known, key=lambda one: one.loss if one.loss is not None else math.inf)
    count = max(1, math.ceil(_GOOD_SHARE * math.sqrt(len(ordered)) * 2))
    good, bad = ordered[:count], ordered[count:]
    if search.algorithm == "multivariate-tpe":
        return _best_together(search, good, bad, number)
    return {p.name: _best_value(search, p, good, bad, number) for p in search.parameters}


def _best_value(search: Search, parameter: Parameter, good: Sequence[Past], bad: Sequence[Past], number: int) -> str:
    likely = _density(parameter, good)
    unlikely = _density(parameter, bad)
    best, best_score = "", -math.inf
    for candidate in range(_CANDIDATES):
        place = likely.draw(search.seed, number, parameter.name, candidate)
        value = parameter.at(place)
        place = parameter.place_of(value)
        score = math.log(likely.at(place)) - math.log(unlikely.at(place))
        if score > best_score:
            best, best_score = value, score
    return best


def _best_together(search: Search, good: Sequence[Past], bad: Sequence[Past], number: int) -> dict[str, str]:
    likely, unlikely = ([_density(p, trials) for p in search.parameters] for trials in (good, bad))
    best, best_score = {}, -math.inf
    for candidate in range(_CANDIDATES):
        about = (search.seed, number, candidate)
        near = int(_chance(*about, "which") * (len(good) + 1))
        drawn = [d.draw_near(near, *about, p.name) for p, d in zip(search.parameters, likely, strict=True)]
        values = {p.name: p.at(place) for p, place in zip(search.parameters, drawn, strict=True)}
        places = [p.place_of(values[p.name]) for p in search.parameters]
        score = math.log(_together(likely, places)) - math.log(_together(unlikely, places))
        if score > best_score:
            best, best_score = values, score
    return best


def _together(densities: Sequence[_Density], places: Sequence[float]) -> float:
    """The density at a place of several dimensions: of each trial's bumps the product, and everywhere a little."""
    trials = len(densities[0].places)
    bumps = (
        math.prod(density.bump(trial, place) for density, place in zip(densities, places, strict=True))
        for trial in range(trials)
    )
    return (1.0 + sum(bumps)) / (trials + 1)


@dataclass(frozen=True, slots=True)
class _Density:
    """A mixture over the unit interval: a bump at each place, and everywhere a little."""

    places: tuple[float, ...]
    width: float
    bins: int = 0
    """For lists: how many values; each place is then the middle of one."""

    def at(self, place: float) -> float:
        if self.bins:
            here = sum(abs(other - place) < 0.5 / self.bins for other in self.places)
            return (here + 1.0) / (len(self.places) + self.bins) * self.bins
        total = 1.0 + sum(self.bump(trial, place) for trial in range(len(self.places)))
        return total / (len(self.places) + 1)

    def bump(self, trial: int, place: float) -> float:
        """One trial's part."""
        centre = self.places[trial]
        if self.bins:
            mine = abs(centre - place) < 0.5 / self.bins
            return (1 - _ELSEWHERE) * self.bins if mine else _ELSEWHERE * self.bins / max(self.bins - 1, 1)
        bump = NormalDist(centre, self.width)
        inside = bump.cdf(1.0) - bump.cdf(0.0)
        return bump.pdf(place) / max(inside, 1e-9)

    def draw(self, *about: object) -> float:
        chosen = int(_chance(*about, "which") * (len(self.places) + 1))
        return self.places[chosen] if self.bins and chosen < len(self.places) else self.draw_near(chosen, *about)

    def draw_near(self, chosen: int, *about: object) -> float:
        """A place near this trial's; anywhere for one that there is not."""
        place = _chance(*about, "where")
        if chosen == len(self.places):
            return place
        if self.bins:
            return self.places[chosen] if _chance(*about, "stray") >= _ELSEWHERE else place
        bump = NormalDist(self.places[chosen], self.width)
        low, high = bump.cdf(0.0), bump.cdf(1.0)
        return min(max(bump.inv_cdf(min(max(low + place * (high - low), 1e-9), 1 - 1e-9)), 0.0), 1.0)


def _density(parameter: Parameter, trials: Sequence[Past]) -> _Density:
    places = tuple(parameter.place_of(one.assignments.get(parameter.name, "")) for one in trials)
    width = max(_WIDTH_MIN, 0.5 / (len(places) + 1))
    return _Density(places, width, len(parameter.choices))
