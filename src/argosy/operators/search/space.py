"""The space that an experiment searches: each parameter as a map from the unit interval to its values. Pure.

Every algorithm thinks in numbers between 0 and 1; what they mean (a logarithm, a step, a list) is known here alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from argosy.meta.json import Obj

_TYPES = ("double", "int", "discrete", "categorical")
_UNIFORM, _LOG_UNIFORM, _NORMAL, _LOG_NORMAL = "uniform", "logUniform", "normal", "logNormal"
_DISTRIBUTIONS = (_UNIFORM, _LOG_UNIFORM, _NORMAL, _LOG_NORMAL)
_GRID_POINTS = 10
"""Points of a double without a step in a grid search."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension: a range of numbers, or a list."""

    name: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    whole: bool = False
    choices: tuple[str, ...] = ()
    distribution: str = _UNIFORM

    def at(self, unit: float) -> str:
        """The value at a place between 0 and 1."""
        if self.choices:
            return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]
        low, high = self._scale(self.low), self._scale(self.high)
        if self.distribution in (_NORMAL, _LOG_NORMAL):
            spread = NormalDist((low + high) / 2, (high - low) / 6 or 1e-12)
            number = min(max(spread.inv_cdf(min(max(unit, 1e-6), 1 - 1e-6)), low), high)
        elif self.whole and not self.step and not self._logarithmic:
            number = math.floor(self.low + unit * (self.high - self.low + 1))
        else:
            number = low + unit * (high - low)
        return self._written(math.exp(number) if self._logarithmic else number)

    def place_of(self, value: str) -> float:
        """The middle of the places that have this value: the inverse of `at`, as far as there is one."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices) if value in self.choices else 0.5
        low, high = self._scale(self.low), self._scale(self.high)
        try:
            number = self._scale(float(value))
        except ValueError:
            return 0.5
        if self.distribution in (_NORMAL, _LOG_NORMAL):
            return NormalDist((low + high) / 2, (high - low) / 6 or 1e-12).cdf(number)
        if self.whole and not self.step and not self._logarithmic:
            return (number - self.low + 0.5) / (self.high - self.low + 1)
        return (number - low) / (high - low) if high > low else 0.5

    def points(self) -> list[str]:
        """The values that a grid search tries."""
        if self.choices:
            return list(self.choices)
        if self.whole or self.step:
            step = self.step or 1.0
            count = math.floor((self.high - self.low) / step + 1e-9) + 1
            return [self._number(self.low + n * step) for n in range(count)]
        return [self.at(n / (_GRID_POINTS - 1)) for n in range(_GRID_POINTS)]

    @property
    def _logarithmic(self) -> bool:
        return self.distribution in (_LOG_UNIFORM, _LOG_NORMAL)

    def _scale(self, number: float) -> float:
        return math.log(number) if self._logarithmic and number > 0 else number

    def _written(self, number: float) -> str:
        if self.step:
            number = self.low + round((number - self.low) / self.step) * self.step
        elif self.whole:
            number = round(number)
        return self._number(min(max(number, self.low), self.high))

    def _number(self, number: float) -> str:
        return str(round(number)) if self.whole else repr(float(f"{number:.12g}"))


def read(specs: Sequence[Obj]) -> tuple[list[Parameter], list[str]]:
    """The parameters, and what is wrong with them: sentence fragments that name the field."""
    found, wrong = [], []
    for spec in specs:
        parameter = _parameter(spec)
        if isinstance(parameter, str):
            wrong.append(f"spec.parameters {spec.get('name') or '(without a name)'}: {parameter}")
        else:
            found.append(parameter)
    names = [parameter.name for parameter in found]
    wrong += [f"spec.parameters {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    return found, wrong


def _parameter(spec: Obj) -> Parameter | str:
    name, type, space = str(spec.get("name") or ""), spec.get("parameterType"), spec.get("feasibleSpace") or {}
    distribution = str(space.get("distribution") or _UNIFORM)
    if not name or type not in _TYPES:
        return f"parameterType {type!r} is none of {', '.join(_TYPES)}"
    if type in ("discrete", "categorical"):
        choices = tuple(str(item) for item in space.get("list") or ())
        return Parameter(name, choices=choices) if choices else "feasibleSpace.list is empty"
    if distribution not in _DISTRIBUTIONS:
        return f"feasibleSpace.distribution {distribution!r} is none of {', '.join(_DISTRIBUTIONS)}"
    try:
        low, high, step = (float(space.get(field) or "0") for field in ("min", "max", "step"))
    except ValueError as error:
        return f"feasibleSpace: {error}"
    if "min" not in space or "max" not in space or low > high or step < 0:
        return "feasibleSpace needs min and max, min not above max, and no negative step"
    if distribution in (_LOG_UNIFORM, _LOG_NORMAL) and low <= 0:
        return f"feasibleSpace.min must be above 0 for the distribution {distribution}"
    return Parameter(name, low, high, step, type == "int", distribution=distribution)


def grid(parameters: Sequence[Parameter]) -> Iterator[dict[str, str]]:
    """Every combination, the last parameter changing first."""
    if not parameters:
        yield {}
        return
    for value in parameters[0].points():
        for rest in grid(parameters[1:]):
            yield {parameters[0].name: value, **rest}
