"""Open pages do not keep a gate from stopping."""

import threading
from contextlib import closing
from pathlib import Path

from tests.console.conftest import Person
from tests.http_gate import HttpGate
from tests.shop import Shop


def test_the_event_streams_of_open_pages_end_when_the_gate_stops(tmp_path: Path) -> None:
    """Each stream sends a last event, and the gate stops."""
    with Shop(tmp_path) as shop:
        gate = HttpGate(shop)
        with closing(Person(gate, "acme")) as person:
            person.sign_in()
            with person.stream("GET", "/console/changes") as events:
                lines = events.iter_lines()
                assert next(lines) == "retry: 3000"
                stopping = threading.Thread(target=gate.close)
                stopping.start()
                received = [line for line in lines if line]
            assert received[-2:] == ["event: end", "data: -"]
            stopping.join(20)
            assert not stopping.is_alive()
