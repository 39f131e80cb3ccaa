"""The published score of risk-based authentication, written down a second time, beside the server's own: on generated log-ins
both must agree to nine digits.

Source of the formula: Freeman et al., "Who Are You?" (NDSS 2016), equation 7 without attack data, with the hierarchies, weights and edge
cases of Wiefling et al., "Pump Up Password Security!" (ACM TOPS 2022). In words:

    S(x, u) = product over both features of p(x) / p(x | u), times (1 / people) / (log-ins of u / all log-ins)

p of a feature is the weighted sum over its levels of p(level's value among the log-ins that have it) * p(level's value). Among
everybody's log-ins the first level is smoothed, so that what was never seen has a chance too; nothing else is. What was never seen with
the person counts as a quarter of what it is with everybody.
"""

import json
import math
import os
import random
import subprocess

import pytest

ADDRESS = ("address", "network", "country")
AGENT = ("agent", "browser", "system", "device")
WEIGHTS = {
    "address": 0.6, "network": 0.3, "country": 0.1,
    "agent": 0.5386653840551359, "browser": 0.2680451498625666, "system": 0.18818295100109536, "device": 0.0051065150812021525,
}  # fmt: skip


def unseen(log_ins, levels):
    """How many values there may be that nobody has shown yet: one, and one for each value of the levels below."""
    return 1 + sum(len({log_in[level] for log_in in log_ins}) for level in levels)


def smoothed(log_ins, level, below, value):
    """p of a value, with room left for the unseen."""
    count, total, room = sum(log_in[level] == value for log_in in log_ins), len(log_ins), unseen(log_ins, below)
    return count / total * (1 - room / (total + room)) if count else 1 / (total + room)


def plain(log_ins, level, value):
    """p of a value, as often as it was seen."""
    return sum(log_in[level] == value for log_in in log_ins) / len(log_ins) if log_ins else 0.0


def likelihood(log_ins, levels, attempt, is_smoothed):
    """p of a feature."""
    total = 0.0
    for number, level in enumerate(levels):
        value = attempt[level]
        its_own = [log_in for log_in in log_ins if log_in[level] == value]
        if is_smoothed and number == 0:
            below = levels[1:]
            total += WEIGHTS[level] * smoothed(its_own, level, below, value) * smoothed(log_ins, level, below, value)
        else:
            total += WEIGHTS[level] * plain(its_own, level, value) * plain(log_ins, level, value)
    return total


def score(attempt, log_ins):
    """The logarithms of the three factors, of address, client and habit."""
    own = [log_in for log_in in log_ins if log_in["person"] == attempt["person"]]
    people = len({log_in["person"] for log_in in log_ins})
    factors = []
    for levels in (ADDRESS, AGENT):
        everybody = likelihood(log_ins, levels, attempt, True)
        here = likelihood(own, levels, attempt, False) or everybody / 4
        factors.append(everybody / here)
    factors.append((1 / people) / (len(own) / len(log_ins)))
    return [math.log(factor) for factor in factors]


def generated(seed, people, log_ins):
    """Log-ins with habits; some values that nobody had before; and a few addresses that changed hands, agents that lie about their system."""
    chance = random.Random(seed)
    habits = {
        f"p{person}": ([chance.randrange(40) for _ in range(chance.randint(1, 4))], [chance.randrange(25) for _ in range(chance.randint(1, 3))])
        for person in range(people)
    }
    for number in range(log_ins):
        person = f"p{chance.randrange(people)}"
        addresses, agents = habits[person]
        address = chance.choice(addresses) if chance.random() < 0.85 else chance.randrange(400)
        agent = chance.choice(agents) if chance.random() < 0.85 else chance.randrange(200)
        moved = chance.random() < 0.05
        yield {
            "person": person,
            "address": f"192.0.2.{address}",
            "network": str(64500 + address // 8 + (7 if moved else 0)),
            "country": f"C{address // 32}",
            "agent": f"agent {agent}",
            "browser": f"browser {agent // 2}",
            "system": f"system {agent // 6 + (1 if chance.random() < 0.05 else 0)}",
            "device": f"device {agent % 4}",
        }


def ours(lines):
    program = os.environ["STRONGROOM_SCORE_LOG_INS"]
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def line_of(verb, log_in):
    return "\t".join([verb, log_in["person"], *(log_in[level] for level in (*ADDRESS, *AGENT))])


@pytest.mark.parametrize("seed, people, log_ins", [(1, 3, 60), (2, 25, 500), (3, 120, 1500), (4, 1, 40)])
def test_scores_equal_the_published_ones(seed, people, log_ins):
    lines, expected, known = [], [], []
    for log_in in generated(seed, people, log_ins):
        # Of whoever was never there the formula says nothing: their share of the log-ins is 0.
        if any(before["person"] == log_in["person"] for before in known):
            lines.append(line_of("score", log_in))
            expected.append(score(log_in, known))
        lines.append(line_of("learn", log_in))
        known.append(log_in)
    found = ours(lines)
    assert len(found) == len(expected) > log_ins // 2
    worst = 0.0
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine["terms"]) == 3
        for one, other in zip([*mine["terms"], mine["nats"]], [*theirs, sum(theirs)], strict=True):
            worst = max(worst, abs(one - other))
    assert worst < 1e-9, worst


def test_the_comparison_would_notice_a_difference():
    """A weight that is off by a thousandth is seen."""
    log_ins = list(generated(5, 10, 200))
    lines = [line_of("learn", log_in) for log_in in log_ins] + [line_of("score", log_ins[0])]
    right = score(log_ins[0], log_ins)
    [mine] = ours(lines)
    assert abs(mine["nats"] - sum(right)) < 1e-9
    WEIGHTS["address"] += 0.001
    try:
        assert abs(mine["nats"] - sum(score(log_ins[0], log_ins))) > 1e-9
    finally:
        WEIGHTS["address"] -= 0.001


def test_somebody_elses_client_from_elsewhere_scores_higher():
    """And the score means something: an attempt with another person's habits is likelier somebody else."""
    log_ins = list(generated(6, 40, 1200))
    lines = [line_of("learn", log_in) for log_in in log_ins]
    last = {log_in["person"]: log_in for log_in in log_ins}
    people = sorted(last)
    pairs = [(last[one], {**last[other], "person": one}) for one, other in zip(people, people[1:] + people[:1], strict=True)]
    found = ours(lines + [line_of("score", log_in) for pair in pairs for log_in in pair])
    higher = sum(strange["nats"] > usual["nats"] for usual, strange in zip(found[::2], found[1::2], strict=True))
    assert higher > 0.9 * len(people)
