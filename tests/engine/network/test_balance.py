from argosy.engine.network.balance import Balancer
from argosy.engine.network.services import Backend

A, B, C = Backend("a", 1), Backend("b", 1), Backend("c", 1)


def test_in_turn_and_every_other_as_a_second_choice():
    balancer = Balancer()
    assert balancer.candidates("x", 0) == []
    balancer.update((A, B, C), 0)
    orders = [balancer.candidates("x", 0) for _ in range(6)]
    assert sorted(order[0] for order in orders) == [A, A, B, B, C, C]
    assert all(sorted(order) == [A, B, C] for order in orders)


def test_affinity_lasts_while_the_client_returns_and_the_backend_is_there():
    balancer = Balancer()
    balancer.update((A, B, C), 60)
    balancer.chosen("x", B, 0)
    assert all(balancer.candidates("x", 50)[0] == B for _ in range(5))
    balancer.chosen("x", B, 50)
    assert all(balancer.candidates("x", 110)[0] == B for _ in range(5))
    assert {balancer.candidates("x", 111)[0] for _ in range(3)} == {A, B, C}
    balancer.chosen("x", B, 120)
    balancer.update((A, C), 60)
    assert {balancer.candidates("x", 121)[0] for _ in range(2)} == {A, C}
