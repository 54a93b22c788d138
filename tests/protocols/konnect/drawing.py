"""The part of ``docs/states.md`` that is drawn from the table: ``python -m tests.protocols.konnect.drawing`` writes
it."""

from goodsgate.protocols.konnect.orders.states import STATES, STEPS, Step, Way
from tests.docs.pages import TOP

PAGE = TOP / "docs" / "states.md"
BEGIN, END = "<!-- drawn from the table: begin -->\n", "<!-- drawn from the table: end -->\n"
WHO = {None: "", True: " (self-ship)", False: ""}


def drawn() -> str:
    """Diagrams by way, and both tables."""
    forward = [step for step in STEPS if not step.event.startswith("status/") and not _returns(step)]
    returns = [step for step in STEPS if step not in forward]
    return "\n".join([
        "```mermaid", "stateDiagram-v2", *map(_arrows, forward), "```", "",
        "Returns of customers, and what a seller does who ships himself:", "",
        "```mermaid", "stateDiagram-v2", *map(_arrows, returns), "```", "",
        "| state | `orderStatus` | way |", "|---|---|---|",
        *(f"| `{one.name}` | {', '.join(f'`{word}`' for word in (one.status, *one.also))} | {one.way} |"
          for one in STATES), "",
        "| event | from | to | only |", "|---|---|---|---|",
        *(f"| `{step.event}` | {', '.join(f'`{name}`' for name in step.sources)} | `{step.target}` | "
          f"{ {None: '', True: 'self-ship', False: 'not self-ship'}[step.self_ship]} |" for step in STEPS), "",
    ])


def _returns(step: Step) -> bool:
    ways = {state.name: state.way for state in STATES}
    return Way.RETURN in (ways[step.target], *(ways[source] for source in step.sources))


def _arrows(step: Step) -> str:
    return "\n".join(f"    {source} --> {step.target}: {step.event}{WHO[step.self_ship]}" for source in step.sources)


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + drawn() + END + rest.partition(END)[2], "utf-8")
