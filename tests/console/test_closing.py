"""Open pages do not keep a gate from stopping."""

import threading
from contextlib import closing
from pathlib import Path

from tests.console.conftest import Person
from tests.served import Served
from tests.shop import Shop


def test_open_pages_are_let_go_when_the_gate_stops(tmp_path: Path) -> None:
    """Their event streams end, and say so."""
    with Shop(tmp_path) as shop:
        gate = Served(shop)
        with closing(Person(gate, "acme")) as person:
            person.sign_in()
            with person.stream("GET", "/console/changes") as events:
                lines = events.iter_lines()
                assert next(lines) == "retry: 3000"
                stopping = threading.Thread(target=gate.close)
                stopping.start()
                told = [line for line in lines if line]
            assert told[-2:] == ["event: end", "data: -"]
            stopping.join(20)
            assert not stopping.is_alive()
