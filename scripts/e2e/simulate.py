"""How many replicas so many people need: a simulation of one replica from measured turns.

People think, ask, and their clients execute tools. A replica runs so many turns at once; the others wait. The
most people that a replica serves well are found by simulating it with more and more of them; the rest is
arithmetic, with room for what a balancer's hash does not spread evenly. Standard library only.
"""

import argparse
import bisect
import heapq
import itertools
import math
import random

# Runs of Cursor's CLI that were recorded from 2025-08 to 2026-10: seconds from start to result, and how many
# tools were called. Different people, machines and models.
RUNS = [
    (5.2, 2), (39.7, 1), (81.4, 2), (9.9, 2), (7.1, 0), (3.0, 0), (9.4, 0), (22.8, 4), (3.9, 0), (5.1, 0),
    (11.2, 3), (13.0, 2), (16.5, 1), (25.2, 1), (21.5, 2), (10.6, 3), (4.8, 1), (11.7, 4), (9.3, 1), (6.0, 0),
    (33.7, 2), (8.5, 0), (13.3, 3), (7.2, 2), (14.0, 6), (18.5, 3), (19.4, 6), (6.8, 2), (13.0, 3), (28.8, 3),
    (9.4, 1), (19.8, 4), (2.0, 0), (18.7, 1), (14.6, 1), (10.2, 0), (16.9, 5), (1.9, 0), (5.0, 1),
]
# The shortest of them, which called no tool: what another start of the agent costs at most.
START = 1.9


def costs(text):
    """`running=…,parked=…,queued=…,base=…`, MiB or descriptors."""
    pairs = (pair.split("=") for pair in text.split(","))
    return {name: float(value) for name, value in pairs}


def simulate(people, options, parked, seconds, seed):
    """Waiting times of the requests to one replica, and how many turns ran and were parked on average."""
    rng = random.Random(seed)
    events, order = [], itertools.count()
    free, queue, waits = options.running, [], []
    running_time = parked_time = 0.0
    now = 0.0

    def at(time, kind, what):
        heapq.heappush(events, (time, next(order), kind, what))

    def ask(time, parts):
        """A request comes: `parts` are the seconds that it and those after it take."""
        nonlocal free, running_time
        if free:
            free -= 1
            waits.append(0.0)
            running_time += parts[0]
            at(time + parts[0], "answered", parts[1:])
        else:
            queue.append((time, parts))

    def turn():
        """The seconds of each request of a turn."""
        took, calls = rng.choice(RUNS)
        rounds = math.ceil(calls / options.calls_per_round) + 1
        again = 0.0 if parked else START
        return [took / rounds + (again if number else 0.0) for number in range(rounds)]

    for _ in range(people):
        at(rng.expovariate(1 / options.think), "ask", None)
    head = 0
    while events and now < seconds:
        now, _, kind, what = heapq.heappop(events)
        if kind == "ask":
            ask(now, what or turn())
            continue
        free += 1
        if head < len(queue):
            since, parts = queue[head]
            head += 1
            waits.append(now - since)
            free -= 1
            running_time += parts[0]
            at(now + parts[0], "answered", parts[1:])
        pause = rng.expovariate(1 / (options.tool if what else options.think))
        if what:
            parked_time += pause
        at(now + pause, "ask", what or None)
    return waits, running_time / now, parked_time / now if parked else 0.0


def most_people(options, parked):
    """The most people of whose requests 95 of 100 wait less than a second, and what they make a replica hold."""

    def served(people):
        waits, running, held = simulate(people, options, parked, options.hours * 3600, options.seed)
        waits.sort()
        return not waits or waits[int(len(waits) * 0.95)] < 1.0, running, held

    highest = 1
    while served(highest * 2)[0] and highest < 100_000:
        highest *= 2
    found = bisect.bisect_left(range(highest, highest * 2), True, key=lambda people: not served(people)[0])
    people = max(highest + found - 1, 1)
    return people, *served(people)[1:]


def replicas(people, most):
    """So many that a hash gives hardly any of them (1 of 100) more people than it serves."""
    count = math.ceil(people / most)
    while count > 1:
        mean = people / count
        if mean + 2.33 * math.sqrt(mean) <= most:
            break
        count += 1
    return count


def main():
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--running", type=int, default=8, help="turns that a replica runs at once (--max-running)")
    parser.add_argument("--think", type=float, default=60.0, help="mean seconds from an answer to the next question")
    parser.add_argument("--tool", type=float, default=5.0, help="mean seconds that a client takes for its tools")
    parser.add_argument("--calls-per-round", type=float, default=1.0, help="calls that an answer holds")
    parser.add_argument("--agent-mib", type=float, help="memory of one agent; measure yours (ps -o rss)")
    parser.add_argument("--mib", type=costs, default=COSTS, help="memory of the server: base=…,running=…,parked=…,queued=…")
    parser.add_argument("--hours", type=float, default=4.0, help="simulated time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"a question every {options.think:g} s, {options.tool:g} s for a client's tools, {options.running} running turns a replica")
    print("95 of 100 requests wait less than 1 s\n")
    print("turns    people  replicas  people a replica  running  parked  server MiB  agents")
    for parked in (True, False):
        most, running, held = most_people(options, parked)
        for people in options.people:
            count = replicas(people, most)
            share = min(1.0, people / count / most)
            here, waiting = running * share, held * share
            server = options.mib["base"] + here * options.mib["running"] + waiting * options.mib["parked"]
            agents = here + waiting
            name = "parked" if parked else "respawn"
            print(f"{name:8} {people:6}  {count:8}  {people / count:16.0f}  {here:7.1f}  {waiting:6.1f}  {server:10.0f}  {agents:6.1f}", end="")
            print(f" = {agents * options.agent_mib:.0f} MiB" if options.agent_mib else "")


# MiB of a server, by scripts/simulate --measure (0.2.0, Linux x86_64).
COSTS = costs("base=22,running=0.06,parked=0.05,queued=0.05")

if __name__ == "__main__":
    main()
