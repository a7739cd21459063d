"""Spaces, algorithms and metrics: values in, values out."""

from __future__ import annotations

import math

import pytest

from argosy.meta.json import Obj
from argosy.operators.search import metrics, space
from argosy.operators.search.hyperband import Later, Past
from argosy.operators.search.suggest import Search, suggest


def parameter(type: str, **feasible: object) -> Obj:
    return {"name": "p", "parameterType": type, "feasibleSpace": feasible}


def one(type: str, **feasible: object) -> space.Parameter:
    (found,), wrong = space.read([parameter(type, **feasible)])
    assert wrong == []
    return found


def test_units_are_values() -> None:
    assert [one("int", min="2", max="5").at(u) for u in (0.0, 0.24, 0.26, 0.99)] == ["2", "2", "3", "5"]
    assert one("double", min="-1", max="1").at(0.75) == "0.5"
    log = one("double", min="1e-4", max="1e-2", distribution="logUniform")
    assert float(log.at(0.5)) == pytest.approx(1e-3)
    assert [one("double", min="0", max="1", step="0.25").at(u) for u in (0.1, 0.4, 1.0)] == ["0.0", "0.5", "1.0"]
    assert [one("categorical", list=["a", "b"]).at(u) for u in (0.0, 0.49, 0.51, 1.0)] == ["a", "a", "b", "b"]
    assert one("double", min="0", max="6", distribution="normal").at(0.5) == "3.0"


@pytest.mark.parametrize("unit", [0.05, 0.3, 0.5, 0.95])
def test_places_are_found_again(unit: float) -> None:
    for given in (
        one("double", min="1e-4", max="1", distribution="logUniform"),
        one("double", min="-3", max="1"),
        one("double", min="0", max="6", distribution="normal"),
    ):
        assert given.place_of(given.at(unit)) == pytest.approx(unit, abs=1e-6)
    whole = one("int", min="1", max="8")
    assert whole.at(whole.place_of(whole.at(unit))) == whole.at(unit)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (parameter("float"), "parameterType 'float' is none of"),
        (parameter("double", min="1"), "needs min and max"),
        (parameter("double", min="2", max="1"), "min not above max"),
        (parameter("int", min="x", max="1"), "could not convert"),
        (parameter("categorical"), "list is empty"),
        (parameter("double", min="0", max="1", distribution="logUniform"), "must be above 0"),
    ],
)
def test_impossible_spaces_are_told(spec: Obj, says: str) -> None:
    found, wrong = space.read([spec])
    assert found == []
    assert says in wrong[0]
    assert wrong[0].startswith("spec.parameters p: ")


def search(algorithm: str, *parameters: space.Parameter, seed: str = "1") -> Search:
    return Search(algorithm, parameters, seed)


def given(search: Search, past: list[Past], number: int) -> dict[str, str]:
    found = suggest(search, past, number)
    assert found is not None
    assert found is not Later.WAIT
    return found


def test_random_is_a_function_of_the_number() -> None:
    x = one("double", min="0", max="1")
    drawn = [suggest(search("random", x), [], n) for n in range(50)]
    assert drawn == [suggest(search("random", x), [], n) for n in range(50)]
    assert drawn != [suggest(search("random", x, seed="2"), [], n) for n in range(50)]
    values = [float(given(search("random", x), [], n)["p"]) for n in range(50)]
    assert len(set(values)) == 50
    assert 0.35 < sum(values) / 50 < 0.65


def test_grid_ends() -> None:
    a, b = one("int", min="1", max="2"), one("categorical", list=["x", "y", "z"])
    named = [a, space.Parameter("q", choices=b.choices)]
    found = [suggest(search("grid", *named), [], n) for n in range(7)]
    assert found[0] == {"p": "1", "q": "x"}
    assert found[5] == {"p": "2", "q": "z"}
    assert found[6] is None


@pytest.mark.parametrize("name", ["tpe", "multivariate-tpe"])
def test_tpe_beats_chance(name: str) -> None:
    def loss(assignments: dict[str, str]) -> float:
        return (math.log10(float(assignments["lr"])) + 3) ** 2 + (0.0 if assignments["kind"] == "b" else 1.0)

    parameters = (
        space.Parameter("lr", 1e-6, 1.0, distribution="logUniform"),
        space.Parameter("kind", choices=("a", "b", "c")),
    )

    def mean_of_late(algorithm: str, seed: str) -> float:
        past: list[Past] = []
        for number in range(40):
            assignments = given(Search(algorithm, parameters, seed), past, number)
            past.append(Past(assignments, loss(assignments)))
        return sum(one.loss or 0.0 for one in past[20:]) / 20

    wins = [mean_of_late(name, str(seed)) < mean_of_late("random", str(seed)) * 0.7 for seed in range(8)]
    assert all(wins)


def test_metrics_are_found_anywhere_in_a_line() -> None:
    log = "epoch 1: loss=0.5, acc = 0.1\nloss=4e-1\nother loss here\nnoloss=9\nloss=0.45\nloss=nan\n"
    loss, missing = metrics.observe(log, ["loss", "absent"])
    assert loss == {"name": "loss", "min": "4e-1", "max": "0.5", "latest": "nan"}
    assert missing["latest"] == metrics.UNAVAILABLE
    assert metrics.value_of({"metrics": [loss]}, "loss", "min") == 0.4
    assert metrics.value_of({"metrics": [loss]}, "loss", "latest") is None
    assert metrics.value_of({"metrics": [missing]}, "absent", "min") is None
    (found,) = metrics.observe("{acc: 0.5}", ["acc"], [r"(\w+): ([\d.]+)"])
    assert found["latest"] == "0.5"
    assert [len(metrics.problems([text])) for text in ("(", "(a)", "(a)(b)")] == [1, 1, 0]
