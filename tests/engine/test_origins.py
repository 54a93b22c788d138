"""A request's id and trace context go with what it submits: to the worker's log lines and to webhooks."""

import json
import logging

import pytest

from goodsgate.model.tracing import NO_ORIGIN, ORIGIN, Origin, parse_traceparent
from goodsgate.observe import JsonLines
from tests.shop import Shop

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.mark.parametrize(("given", "kept"), [
    (PARENT, PARENT), (f"01-{PARENT[3:]}-more", f"01-{PARENT[3:]}"), (f"{PARENT}-more", ""), (PARENT.upper(), ""),
    (f"ff-{PARENT[3:]}", ""), (PARENT.replace(TRACE, "0" * 32), ""), (PARENT.replace("b7ad6b7169203331", "0" * 16), ""),
    ("", ""), ("nonsense", ""), (PARENT[:-1], ""), (f"{PARENT}\n", ""),
])
def test_only_a_valid_trace_context_is_kept(given: str, kept: str) -> None:
    """As W3C Trace Context says."""
    assert parse_traceparent(given) == kept


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The lines as they are written."""
    formatter = JsonLines()
    return [json.loads(line) for record in caplog.records for line in formatter.format(record).splitlines()]


def test_each_ended_batch_has_one_line(tmp_path, caplog) -> None:
    """Also those that are committed together: what became of it, and who asked for it."""
    with Shop(tmp_path / "store") as shop, caplog.at_level(logging.INFO, "goodsgate.batches"):
        ORIGIN.set(Origin("r-1", PARENT))
        first = shop.send([{"id": "A", "title": "Kettle"}, {"id": ""}])
        ORIGIN.set(Origin("r-2"))
        second = shop.send([{"id": "B", "title": "Kettle"}])
        ORIGIN.set(NO_ORIGIN)
        shop.work()
        third = shop.send(b"no json", format="ndjson")
        shop.work()
        lines = {line["batch"]: line for line in _lines(caplog)}
        assert len(_lines(caplog)) == 3
    line = lines[first]
    assert (line["message"], line["level"], line["logger"]) == ("batch ended: partial", "info", "goodsgate.batches")
    assert (line["merchant"], line["kind"], line["collection"], line["round"]) == ("acme", "product", "products", 0)
    assert (line["records"], line["results"]) == (2, {"created": 1, "rejected": 1})
    assert (line["request"], line["trace"]) == ("r-1", TRACE)
    assert lines[second]["request"] == "r-2"
    assert "trace" not in lines[second]
    assert "request" not in lines[third]


def test_a_later_round_has_the_origin_of_its_own_request(tmp_path, caplog) -> None:
    """That of the fix, not that of the submission."""
    with Shop(tmp_path / "store") as shop:
        batch = shop.send([{"id": "A", "title": "Kettle"}, {"id": ""}])
        shop.work()
        ORIGIN.set(Origin("r-fix"))
        shop.fix(batch, b'{"_row": 2, "id": "B", "title": "Pan"}', format="ndjson")
        ORIGIN.set(NO_ORIGIN)
        with caplog.at_level(logging.INFO, "goodsgate.batches"):
            caplog.clear()  # a test before may have left a level that keeps the line of the submission
            shop.work()
    (line,) = _lines(caplog)
    assert (line["request"], line["round"], line["outcome"]) == ("r-fix", 1, "clean")


def test_a_worker_s_lines_about_a_batch_name_its_request(tmp_path, caplog, monkeypatch) -> None:
    """A fault of the worker is found by the request id that the client has."""
    with Shop(tmp_path / "store") as shop:
        ORIGIN.set(Origin("r-1"))
        shop.send([{"id": "A", "title": "Kettle"}])
        ORIGIN.set(NO_ORIGIN)
        lines = []

        class Keep(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                lines.append(json.loads(JsonLines().format(record)))

        handler = Keep()
        logger = logging.getLogger("goodsgate.engine.scheduling")
        logger.addHandler(handler)
        try:
            def fail(*_: object, **__: object) -> None:
                raise RuntimeError("on purpose")

            monkeypatch.setattr(shop.worker._validator, "check", fail)
            shop.worker.step()
        finally:
            logger.removeHandler(handler)
        assert {line.get("request") for line in lines} == {"r-1"}
        assert ORIGIN.get() is NO_ORIGIN
