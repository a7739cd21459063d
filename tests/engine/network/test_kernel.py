import asyncio

import pytest

from argosy.engine.network.kernel import Kernel
from argosy.engine.network.ruleset import Chain, Collection, Ruleset
from argosy.engine.node.runtime.spec import RulesRefused
from argosy.errors import ArgosyError


class Table:
    """A network that writes down what it is told; `refusals` are raised first."""

    def __init__(self, *refusals):
        self.scripts = []
        self.refusals = list(refusals)

    async def load_rules(self, script):
        if self.refusals:
            raise self.refusals.pop(0)
        await asyncio.sleep(0)
        self.scripts.append(script)


def rules(*elements):
    return Ruleset({"s": Collection("type ipv4_addr;", frozenset(elements))}, {"c": Chain(("accept",))})


def test_a_network_without_rules_says_why():
    assert asyncio.run(Kernel(Table(RulesRefused("no nft"))).open([rules()])) == "no nft"


def test_what_may_work_later_is_tried_again():
    table = Table(ArgosyError("gone"))

    async def scenario():
        kernel = Kernel(table, again_seconds=0)
        assert await kernel.open([rules()]) == ""
        table.refusals.append(ArgosyError("gone again"))
        await kernel.put("a", rules("1.1.1.1"))

    asyncio.run(scenario())
    assert len(table.scripts) == 2


def test_what_an_earlier_engine_left_is_replaced_in_one_step():
    table = Table()

    async def scenario():
        kernel = Kernel(table)
        await kernel.open([rules()])
        assert "table ip a\n" not in table.scripts[-1], "until then it stays in force"
        assert table.scripts[-1].endswith("delete table ip argosy-trial\n")
        await kernel.put("a", rules("1.1.1.1"))

    asyncio.run(scenario())
    assert "delete table ip a" in table.scripts[-1]
    assert "add element ip a s { 1.1.1.1 }" in table.scripts[-1]


def test_changes_that_come_together_go_together():
    table = Table()

    async def scenario():
        kernel = Kernel(table)
        await kernel.open([rules()])
        await asyncio.gather(*(kernel.put("a", rules(f"1.1.1.{n}")) for n in range(9)), kernel.put("b", rules()))
        await kernel.put("a", rules("1.1.1.8"))  # nothing new

    asyncio.run(scenario())
    assert len(table.scripts) <= 3
    assert "add element ip a s { 1.1.1.8 }" in "".join(table.scripts)


def test_tables_that_somebody_else_changed_are_made_anew():
    table = Table()

    async def scenario():
        kernel = Kernel(table)
        await kernel.open([rules()])
        await kernel.put("b", rules("2.2.2.2"))
        table.refusals.append(RulesRefused("no such chain"))
        await kernel.put("a", rules("1.1.1.1"))
        await kernel.put("a", rules())

    asyncio.run(scenario())
    assert "delete table ip a" in table.scripts[-2]
    assert "add element ip b s { 2.2.2.2 }" in table.scripts[-2]
    assert table.scripts[-1] == "delete element ip a s { 1.1.1.1 }\n"


def test_rules_that_the_kernel_does_not_understand_are_an_error():
    async def scenario():
        table = Table()
        kernel = Kernel(table)
        await kernel.open([rules()])
        table.refusals += [RulesRefused("syntax"), RulesRefused("syntax")]
        with pytest.raises(RulesRefused):
            await kernel.put("a", rules())

    asyncio.run(scenario())
