"""Client of Goodsgate: submits feeds, waits for them, and reads what happened to each record.

    from goodsgate_client import Client

    with Client("https://gate.example", key) as client:
        batch = client.wait(client.submit_file("products.csv"))
        for issue in client.issues(batch):
            print(issue.source_row, issue.code, issue.message)

`AsyncClient` has the same methods for asyncio.
"""

from goodsgate_client._async.client import AsyncClient
from goodsgate_client._async.pages import AsyncPages
from goodsgate_client._sync.client import Client
from goodsgate_client._sync.pages import Pages
from goodsgate_client.codes import IssueCode, RefusalCode
from goodsgate_client.errors import (
    CertificateError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    GoneError,
    GoodsgateError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    ResponseError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from goodsgate_client.models import (
    Batch,
    Change,
    ChangePage,
    Counts,
    DiffChange,
    FieldChange,
    FixMatch,
    Hold,
    HoldReason,
    Issue,
    IssueGroup,
    Item,
    Page,
    Progress,
    QueueWait,
    ReadingDecision,
    RecordResult,
    SavedExport,
    SuggestionGroup,
    Suggestions,
    WaitingReference,
    Withheld,
)
from goodsgate_client.options import SubmitOptions
from goodsgate_client.webhooks import WebhookError, WebhookEvent, verify_webhook

__version__ = "0.2.0"

__all__ = [
    "AsyncClient", "AsyncPages", "Batch", "CertificateError", "Change", "ChangePage", "Client",
    "ConfigurationError", "ConflictError", "Counts", "DiffChange", "FieldChange", "FixMatch", "ForbiddenError",
    "GoneError", "GoodsgateError", "Hold", "HoldReason", "InvalidRequestError", "Issue", "IssueCode", "IssueGroup",
    "Item", "NotFoundError", "Page", "Pages", "Progress", "QueueWait", "RateLimitedError", "ReadingDecision",
    "RecordResult", "RefusalCode", "RefusedError", "ResponseError", "SavedExport", "SubmitOptions", "SuggestionGroup",
    "Suggestions", "TooLargeError", "UnauthorizedError", "UnavailableError", "UnreachableError", "WaitTimeoutError",
    "WaitingReference", "WebhookError", "WebhookEvent", "Withheld", "verify_webhook",
]
