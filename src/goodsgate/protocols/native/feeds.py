"""What falls short of the published specification of a feed, as JSON."""

from typing import Any

from starlette.responses import Response

from goodsgate.engine.feed_check import FeedCheck
from goodsgate.http.endpoints import ApiRequest
from goodsgate.model.catalogue import display_key
from goodsgate.model.issue import Issue, base_code
from goodsgate.protocols.native.responses import page_response


def feed_check_response(request: ApiRequest, check: FeedCheck) -> Response:
    """Return a page of items that fall short."""
    rows = [
        {
            "key": display_key(each.item.key), "batch": each.item.batch,
            "written": all(issue.severity == "warning" for issue in each.issues),
            "issues": [serialize_feed_issue(issue) for issue in each.issues],
        }
        for each in check.items
    ]
    return page_response(request, "items", rows, check.next, examined=check.examined)


def serialize_feed_issue(issue: Issue) -> dict[str, Any]:
    """Return an issue of one column of a feed."""
    return {
        "column": issue.path.lstrip("/"), "code": issue.code, "severity": issue.severity, "value": issue.value,
        "expected": issue.expected, "message": issue.message, "docs": f"/docs/issues#{base_code(issue.code)}",
    }
