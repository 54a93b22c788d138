"""What a mail says: texts from templates, in the language of the gate.

A template begins with the line ``Subject: …`` and a blank line. The folder of the setting `mail_templates` may hold
files with the same names, which replace those of the gate.
"""

import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.mail.smtp import MailText
from goodsgate.http.services import MailSettings
from goodsgate.model.batch import Batch
from goodsgate.model.counting import counted
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.webhook import BatchEvent, DestinationEvent, SourceEvent

FOLDER = Path(__file__).parent
GROUPS_MAX = 10
"""Groups of issues in a mail, errors first."""
VALUE_CHARACTERS_MAX = 80
BODY_CHARACTERS_MAX = 20_000


class MailTexts:
    """Texts of mails about batches and sources. Safe for threads."""

    def __init__(self, settings: MailSettings, *, base_url: str) -> None:
        """`base_url` is that of the gate, for links."""
        self._base_url = base_url
        language = settings.language
        folders = [settings.templates, *(str(FOLDER / name) for name in (language, language.partition("-")[0], "en"))]
        self._templates = Environment(  # noqa: S701 - plain text, which no HTML parser reads
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders if folder]),
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )
        self._templates.filters.update(counted=counted, excerpt=_excerpt)

    def batch(self, receiver: RegisteredWebhook, event: BatchEvent, batch: Batch | None,
              groups: list[IssueGroup]) -> MailText:
        """Return the text about the end of a batch, or about one that is held."""
        label = batch.label if batch is not None else ""
        return self._render("batch.txt", receiver, {
            "event": event, "batch": batch, "label": label or f"Batch {event.batch}",
            "groups": groups[:GROUPS_MAX], "more_groups": len(groups) > GROUPS_MAX,
            "reasons": [reason.text for reason in batch.hold.reasons] if batch is not None and batch.hold else [],
            "url": f"{self._base_url}/console/merchants/{receiver.merchant}/batches/{event.batch}",
        })

    def source(self, receiver: RegisteredWebhook, event: SourceEvent) -> MailText:
        """Return the text about a source that failed or is overdue."""
        url = f"{self._base_url}/console/merchants/{receiver.merchant}/sources"
        return self._render("source.txt", receiver, {"event": event, "url": url})

    def destination(self, receiver: RegisteredWebhook, event: DestinationEvent) -> MailText:
        """Return the text about a destination that failed, or whose feed is held."""
        url = f"{self._base_url}/console/merchants/{receiver.merchant}/destinations"
        return self._render("destination.txt", receiver, {"event": event, "url": url})

    def test(self, receiver: RegisteredWebhook) -> MailText:
        """Return the text of a mail that somebody asked for."""
        return self._render("test.txt", receiver, {})

    def _render(self, name: str, receiver: RegisteredWebhook, values: dict[str, Any]) -> MailText:
        """Return a rendered template. Raises DeliveryError if it cannot be used."""
        try:
            text = self._templates.get_template(name).render(
                {"merchant": receiver.merchant, "webhook": receiver.number, **values}
            )
        except (TemplateError, ValueError, TypeError, LookupError) as fault:
            raise DeliveryError(f"the template {name} cannot be used: {fault}", unavailable=True) from fault
        head, _, body = text.partition("\n\n")
        subject = head.removeprefix("Subject:")
        if subject == head or not body.strip():
            raise DeliveryError(f"the template {name} must begin with `Subject: …` and a blank line", unavailable=True)
        return MailText(_printable(subject).strip(), body.strip()[:BODY_CHARACTERS_MAX] + "\n")


def _excerpt(value: object) -> str:
    """Return the begin of what a supplier wrote, on one line and without signs that cannot be seen."""
    text = _printable(" ".join(str(value).split()))
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[:VALUE_CHARACTERS_MAX] + "…"


def _printable(text: str) -> str:
    return "".join("·" if unicodedata.category(sign)[0] == "C" else sign for sign in text)

