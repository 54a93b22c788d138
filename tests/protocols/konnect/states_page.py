"""The generated part of ``docs/states.md``; ``python -m tests.protocols.konnect.states_page`` writes it."""

from goodsgate.protocols.konnect.orders.states import STATES, TRANSITIONS, Direction, Transition
from tests.docs.pages import TOP

PAGE = TOP / "docs" / "states.md"
BEGIN, END = "<!-- generated from the table: begin -->\n", "<!-- generated from the table: end -->\n"
ONLY = {None: "", True: "self-ship", False: "not self-ship"}


def generated_text() -> str:
    """Return the diagrams, one for each direction, and both tables."""
    forward = [each for each in TRANSITIONS if not each.event.startswith("status/") and not _is_return(each)]
    returns = [each for each in TRANSITIONS if each not in forward]
    return "\n".join([
        "```mermaid", "stateDiagram-v2", *map(_arrows, forward), "```", "",
        "Customer returns, and the milestones of self-shipping sellers:", "",
        "```mermaid", "stateDiagram-v2", *map(_arrows, returns), "```", "",
        "| state | `orderStatus` | direction |", "|---|---|---|",
        *(f"| `{state.name}` | {_code_list((state.status, *state.aliases))} | {state.direction} |"
          for state in STATES), "",
        "| event | from | to | only |", "|---|---|---|---|",
        *(f"| `{each.event}` | {_code_list(each.sources)} | `{each.target}` | {ONLY[each.self_ship]} |"
          for each in TRANSITIONS), "",
    ])


def _code_list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_return(transition: Transition) -> bool:
    directions = {state.name: state.direction for state in STATES}
    return Direction.RETURN in (directions[transition.target], *(directions[name] for name in transition.sources))


def _arrows(transition: Transition) -> str:
    suffix = " (self-ship)" if transition.self_ship else ""
    return "\n".join(
        f"    {source} --> {transition.target}: {transition.event}{suffix}" for source in transition.sources
    )


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + generated_text() + END + rest.partition(END)[2], "utf-8")
