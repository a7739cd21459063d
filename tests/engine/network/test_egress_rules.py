from argosy.engine.network.egress_rules import DOOR, egress_rules, inside
from argosy.engine.network.policies import Resolved
from argosy.engine.network.policy_rules import policy_rules
from argosy.meta.objects import Key

RANGES = inside("10.64.0.0/16", "10.96.0.0/16")


def test_only_what_lies_outside_is_led_to_the_door():
    (rule,) = egress_rules("10.64.0.0/16", RANGES).chains["prerouting"].rules
    assert rule.startswith("ip saddr 10.64.0.0/16 ip daddr != { 10.64.0.0/16, 10.96.0.0/16, ")
    assert "169.254.0.0/16" in rule, "a cloud's metadata is nobody's outside"
    assert rule.endswith(f"meta l4proto tcp dnat to {DOOR[0]}:{DOOR[1]}")


def test_policies_are_asked_about_the_address_that_the_pod_named():
    governed = Resolved(Key("default", "p"), frozenset({"10.64.0.10"}), None, ())
    rules = policy_rules([governed], RANGES).chains
    known, outward = rules["outward"].rules
    assert known.startswith("ct state established")
    assert outward.startswith("ip saddr @isolated-out ip daddr != {")
    assert outward.endswith("goto egress")
    assert "ct status dnat accept" in rules["input"].rules, "at the door they have been asked"
    assert "outward" not in policy_rules([governed]).chains
