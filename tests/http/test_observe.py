"""Log lines, metrics and request ids."""

import json
import logging
import time

import pytest

from goodsgate import observe
from goodsgate.observe import REQUEST_ID, JsonLines, Metrics, RequestIds, StatisticsCache


def _line(**extra):
    record = logging.makeLogRecord({"name": "goodsgate", "levelname": "INFO", "msg": "%s und %s", "args": ("Ä", "\n")})
    vars(record).update(extra)
    return JsonLines().format(record)


def test_a_log_line_is_one_json_object():
    """It has the members of `extra` beside the message."""
    text = _line(request="r-1", seconds=0.5)
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "Ä und \n"
    assert (line["level"], line["logger"], line["request"], line["seconds"]) == ("info", "goodsgate", "r-1", 0.5)
    assert line["time"].endswith("Z")


def test_a_fault_is_logged_with_its_traceback():
    """The traceback is on the same line."""
    try:
        raise ValueError("broken")
    except ValueError as fault:
        text = _line(exc_info=(ValueError, fault, fault.__traceback__))
    assert "ValueError: broken" in json.loads(text)["fault"]


@pytest.mark.parametrize(("status", "seconds", "level"), [
    (200, 0.01, logging.DEBUG), (200, 1.5, logging.INFO), (404, 0.01, logging.INFO), (500, 0.01, logging.ERROR),
    (503, 0.01, logging.INFO),
])
def test_only_failed_and_slow_requests_are_logged_above_debug(caplog, status, seconds, level):
    """The path is logged, at most 200 characters of it, and the query is not."""
    with caplog.at_level(logging.DEBUG, "goodsgate"):
        scope = {REQUEST_ID: "r", "method": "GET", "path": "/x/" + "y" * 500, "query_string": b"secret=1"}
        began = time.perf_counter() - seconds
        Metrics(StatisticsCache(dict)).record_request(scope, route="/x", status=status, began=began)
    (record,) = caplog.records
    assert record.levelno == level
    assert len(record.path) == 200
    assert "secret" not in JsonLines().format(record)


def test_ids_are_unique_and_a_client_s_id_is_used_only_if_harmless():
    """Two processes never make the same id."""
    ids, others = RequestIds(), RequestIds()
    assert len({ids.choose(None), ids.choose(None), others.choose(None), others.choose(None)}) == 4
    assert ids.choose(b"abc-1.2_3") == "abc-1.2_3"
    for harmful in (b"", b"a b", b"a\nb", b"x" * 101, b"\xff", b"<x>"):
        assert ids.choose(harmful) != harmful.decode("latin-1")


def test_statistics_are_read_at_most_once_a_second():
    """Later exports use the cached statistics."""
    reads = []
    values = {"lanes": 2.0, "records.created": 5.0, "records.rejected": 1.0}
    statistics = StatisticsCache(lambda: reads.append(1) or values)
    metrics = Metrics(statistics)
    for _ in range(3):
        text = metrics.text().decode()
    assert len(reads) == 1
    assert "goodsgate_lanes 2.0" in text
    assert 'goodsgate_records_total{name="created"} 5.0' in text


def test_unknown_methods_share_one_label():
    """Clients cannot create labels without limit."""
    metrics = Metrics(StatisticsCache(dict))
    for method in ("GET", "BREW", "WHEN"):
        scope = {REQUEST_ID: "r", "method": method, "path": "/x"}
        metrics.record_request(scope, route="/x", status=405, began=time.perf_counter())
    text = metrics.text().decode()
    assert 'method="other",route="/x",status="405"} 2.0' in text
    assert "BREW" not in text


def test_an_unknown_log_level_is_an_error():
    """The message names the level."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with pytest.raises(ValueError, match="LOUD"):
            observe.configure_logging("loud")
        observe.configure_logging("warning")
        assert root.level == logging.WARNING
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
