from math import inf

from tests.sim.network import CELLULAR, NetworkConditions, SimulatedNetwork


def play(network: SimulatedNetwork, packets: int) -> list[tuple[float, bytes]]:
    """Arrivals of packets sent every 10 ms."""
    for number in range(packets):
        network.send(number.to_bytes(2, "big"), number * 0.01)
    arrivals: list[tuple[float, bytes]] = []
    while network.next_seconds < inf:
        now = network.next_seconds
        arrivals += [(now, packet) for packet in network.receive(now)]
    return arrivals


def numbers(arrivals: list[tuple[float, bytes]]) -> list[int]:
    return [int.from_bytes(packet, "big") for _, packet in arrivals]


def test_the_same_seed_gives_the_same_events() -> None:
    first = play(SimulatedNetwork(5, CELLULAR), 500)
    assert first == play(SimulatedNetwork(5, CELLULAR), 500)
    assert first != play(SimulatedNetwork(6, CELLULAR), 500)


def test_a_perfect_network_only_delays() -> None:
    arrivals = play(SimulatedNetwork(1, NetworkConditions(delay_seconds=0.5)), 3)
    assert arrivals == [(0.5, b"\0\0"), (0.51, b"\0\1"), (0.52, b"\0\2")]


def test_jitter_keeps_the_order_and_reordering_does_not() -> None:
    jittery = numbers(play(SimulatedNetwork(1, NetworkConditions(jitter_seconds=0.2)), 300))
    assert jittery == list(range(300))
    reordered = numbers(play(SimulatedNetwork(1, NetworkConditions(reordered=0.1)), 300))
    assert reordered != list(range(300))
    assert sorted(reordered) == list(range(300))


def test_a_cut_loses_exactly_what_is_sent_in_it() -> None:
    network = SimulatedNetwork(1, NetworkConditions(cuts=((0.995, 1.995),)))
    assert numbers(play(network, 300)) == [*range(100), *range(200, 300)]
    assert network.lost == 100


def test_losses_and_duplicates_come_as_often_as_said() -> None:
    network = SimulatedNetwork(1, NetworkConditions(loss=0.1, duplicates=0.1))
    arrivals = numbers(play(network, 5000))
    assert 400 < network.lost < 600
    assert len(set(arrivals)) == 5000 - network.lost
    assert 380 < len(arrivals) - len(set(arrivals)) < 520
