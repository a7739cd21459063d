import struct
import sys

from argosy.engine.network.conntrack import answer, question
from argosy.engine.network.egress_rules import DOOR, egress_rules, inside
from argosy.engine.network.policies import Resolved
from argosy.engine.network.policy_rules import policy_rules
from argosy.engine.node.runtime.holder.flows import attributes, place
from argosy.meta.objects import Key

RANGES = inside("10.64.0.0/16", "10.96.0.0/16")


def test_only_what_lies_outside_is_led_to_the_door():
    rule, datagrams = egress_rules("10.64.0.0/16", RANGES).chains["prerouting"].rules
    assert rule.startswith("ip saddr 10.64.0.0/16 ip daddr != { 10.64.0.0/16, 10.96.0.0/16, ")
    assert "169.254.0.0/16" in rule, "a cloud's metadata is nobody's outside"
    assert rule.endswith(f"meta l4proto tcp dnat to {DOOR[0]}:{DOOR[1]}")
    assert datagrams.endswith(f"meta l4proto udp dnat to {DOOR[0]}:15001-15064")


def test_whom_a_datagram_was_meant_for_is_asked_of_the_kernel():
    asked = question(("169.254.1.1", 15002), ("10.64.0.89", 59340))
    assert len(asked) == int.from_bytes(asked[:4], sys.byteorder)
    told = attributes(asked[20:])
    assert place(told[2], 1, 2) == ("169.254.1.1", 15002), "the answer's direction: from the door"
    assert place(told[2], 2, 3) == ("10.64.0.89", 59340)
    # The kernel tells both directions; the original one names the destination.
    original = question(("10.64.0.89", 59340), ("198.51.100.2", 53))[20:]
    body = b"\2\0\0\0" + original[:2] + struct.pack("=H", 0x8001) + original[4:] + asked[20:]
    assert answer(struct.pack("=IHHII", 16 + len(body), 0x100, 0, 0, 0) + body) == ("198.51.100.2", 53)
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -2) + asked[:16]
    assert answer(refusal) is None


def test_policies_are_asked_about_the_address_that_the_pod_named():
    governed = Resolved(Key("default", "p"), frozenset({"10.64.0.10"}), None, ())
    rules = policy_rules([governed], RANGES).chains
    known, outward = rules["outward"].rules
    assert known.startswith("ct state established")
    assert outward.startswith("ip saddr @isolated-out ip daddr != {")
    assert outward.endswith("goto egress")
    assert "ct status dnat accept" in rules["input"].rules, "at the door they have been asked"
    assert "outward" not in policy_rules([governed]).chains
