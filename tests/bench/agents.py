"""Which user agents of a list are taken for machines', and how long one takes.

Not a measure of speed first: lists of robots and lists of people's agents show how often `by_agent` is right. A list is
a file with an agent a line; none is kept here.

    python -m tests.bench.agents robots.txt people.txt ...
"""

import sys
import time
from collections import Counter
from pathlib import Path

from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.agents import by_agent
from postmeter.shared.stream.events import EventType, Verdict


def main(files: list[str]) -> None:
    """Print for each list how many are machines', by kind, and microseconds for each."""
    names = AgentNames.shipped()
    for file in files:
        agents = [line.encode()[:512] for line in Path(file).read_text(errors="replace").splitlines() if line]
        start = time.perf_counter()
        judged = [by_agent(EventType.CLICKED, agent, names) for agent in agents]
        spent = (time.perf_counter() - start) / max(len(agents), 1) * 1e6
        kinds = Counter(reason for verdict, reason in judged if verdict is Verdict.MACHINE)
        share = 100 * sum(kinds.values()) / max(len(agents), 1)
        print(f"{file}: {len(agents)} agents, {share:.2f} % machines, {spent:.0f} us each, {dict(kinds.most_common())}")


if __name__ == "__main__":
    main(sys.argv[1:])
