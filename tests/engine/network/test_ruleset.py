from argosy.engine.network.ruleset import EMPTY, Chain, Collection, Ruleset, change, creation, union

SET = "type ipv4_addr;"


def lines(text):
    return text.splitlines()


def test_equal_rulesets_need_no_script():
    rules = Ruleset({"a": Collection(SET, frozenset({"1.1.1.1"}))}, {"c": Chain(("accept",))})
    assert change("t", rules, Ruleset(dict(rules.collections), dict(rules.chains))) == ""


def test_a_table_is_made_from_nothing_whatever_was_there():
    made = lines(creation("t", Ruleset({}, {"c": Chain(("accept",), "type filter hook input priority 0;")})))
    assert made[:3] == ["add table ip t", "delete table ip t", "add table ip t"]
    assert made[3:] == ["add chain ip t c { type filter hook input priority 0; }", "add rule ip t c accept"]


def test_what_is_referred_to_comes_first_and_goes_last():
    before = Ruleset(
        {"m": Collection("type inet_service : verdict;", frozenset({"1 : goto old"}), "map"), "s": Collection(SET)},
        {"base": Chain(("vmap @m", "ip saddr @s drop"), "hook"), "old": Chain(("drop",))},
    )
    after = Ruleset(
        {"m": Collection("type inet_service : verdict;", frozenset({"2 : goto new"}), "map")},
        {"base": Chain(("vmap @m",), "hook"), "new": Chain(("accept",))},
    )
    assert lines(change("t", before, after)) == [
        "add chain ip t new",
        "delete element ip t m { 1 : goto old }",
        "flush chain ip t old",
        "flush chain ip t base",
        "add rule ip t base vmap @m",
        "add rule ip t new accept",
        "add element ip t m { 2 : goto new }",
        "delete set ip t s",
        "delete chain ip t old",
    ]


def test_only_the_elements_that_differ_are_written():
    before = Ruleset({"s": Collection(SET, frozenset({"1.1.1.1", "1.1.1.2"}))})
    after = Ruleset({"s": Collection(SET, frozenset({"1.1.1.2", "1.1.1.3", "1.1.1.4"}))})
    assert lines(change("t", before, after)) == [
        "delete element ip t s { 1.1.1.1 }",
        "add element ip t s { 1.1.1.3, 1.1.1.4 }",
    ]


def test_parts_share_sets():
    one = Ruleset({"s": Collection(SET, frozenset({"a"}))}, {"x": Chain(())})
    two = Ruleset({"s": Collection(SET, frozenset({"b"}))}, {"y": Chain(())})
    whole = union([one, EMPTY, two])
    assert whole.collections["s"].elements == {"a", "b"}
    assert set(whole.chains) == {"x", "y"}
