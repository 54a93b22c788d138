"""Log lines, metrics and request ids."""

import json
import logging

import pytest

from goodsgate import observe
from goodsgate.observe import JsonLines, Metrics, RequestIds, StatisticsCache, log_request


def _line(**extra):
    record = logging.makeLogRecord({"name": "goodsgate", "levelname": "INFO", "msg": "%s und %s", "args": ("Ä", "\n")})
    vars(record).update(extra)
    return JsonLines().format(record)


def test_a_log_line_is_one_json_object():
    """With what was given beside the message."""
    text = _line(request="r-1", seconds=0.5)
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "Ä und \n"
    assert (line["level"], line["logger"], line["request"], line["seconds"]) == ("info", "goodsgate", "r-1", 0.5)
    assert line["time"].endswith("Z")


def test_a_fault_is_told_with_its_trace():
    """On the same line."""
    try:
        raise ValueError("broken")
    except ValueError as fault:
        text = _line(exc_info=(ValueError, fault, fault.__traceback__))
    assert "ValueError: broken" in json.loads(text)["fault"]


@pytest.mark.parametrize(("status", "seconds", "level"), [
    (200, 0.01, logging.DEBUG), (200, 1.5, logging.INFO), (404, 0.01, logging.INFO), (500, 0.01, logging.ERROR),
    (503, 0.01, logging.INFO),
])
def test_only_failed_and_slow_requests_are_told_above_debug(caplog, status, seconds, level):
    """The path is told, cut; a query is not even handed over."""
    with caplog.at_level(logging.DEBUG, "goodsgate"):
        log_request(request="r", method="GET", route="/x", path="/x/" + "y" * 500, status=status, seconds=seconds)
    (record,) = caplog.records
    assert record.levelno == level
    assert len(record.path) == 200


def test_ids_are_unique_and_taken_over_only_if_harmless():
    """Two processes never make the same one."""
    ids, others = RequestIds(), RequestIds()
    assert len({ids.of(None), ids.of(None), others.of(None), others.of(None)}) == 4
    assert ids.of(b"abc-1.2_3") == "abc-1.2_3"
    for harmful in (b"", b"a b", b"a\nb", b"x" * 101, b"\xff", b"<x>"):
        assert ids.of(harmful) != harmful.decode("latin-1")


def test_figures_are_asked_for_once_a_second():
    """However often they are looked at."""
    asked = []
    values = {"lanes": 2.0, "records.created": 5.0, "records.rejected": 1.0}
    figures = StatisticsCache(lambda: asked.append(1) or values)
    metrics = Metrics(figures)
    for _ in range(3):
        text = metrics.text().decode()
    assert len(asked) == 1
    assert "goodsgate_lanes 2.0" in text
    assert 'goodsgate_records_total{name="created"} 5.0' in text


def test_strange_methods_do_not_make_labels_without_end():
    """They are counted together."""
    metrics = Metrics(StatisticsCache(dict))
    for method in ("GET", "BREW", "WHEN"):
        metrics.count_request(route="/x", method=method, status=405, seconds=0.1)
    text = metrics.text().decode()
    assert 'method="other",route="/x",status="405"} 2.0' in text
    assert "BREW" not in text


def test_an_unknown_level_is_told():
    """Before anything is served."""
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
