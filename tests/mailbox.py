"""A mail server on this machine that keeps what it gets, or answers otherwise."""

import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "gate", "mail-password"


class _Server(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # any free one
        super()._trigger_server()


class Mailbox:
    """Mails by the order in which they came; `replies` are given to the next ones instead of accepting them."""

    def __init__(self, **options: Any) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[list[str]] = []
        self.replies: list[str] = []
        """To DATA."""
        self.refusals: dict[str, str] = {}
        """Address → reply to RCPT."""
        self.silent_seconds = 0.0
        """Time before the server answers to RCPT."""
        self._controller = _Server(
            self, hostname="127.0.0.1", port=0, authenticator=_authenticate, auth_require_tls=False, **options,
        )
        self._controller.start()
        self.port = int(self._controller.port)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str,
                          options: list[str]) -> str:
        """Accept an address, or not."""
        time.sleep(self.silent_seconds)
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail; a reply that is not 250 may come after it was kept."""
        message = message_from_bytes(envelope.content or b"", policy=default)  # type: ignore[arg-type]
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.receivers.append(envelope.rcpt_tos)
        return self.replies.pop(0) if self.replies else "250 OK"

    def close(self) -> None:
        """Stop the server."""
        self._controller.stop()


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: Any) -> AuthResult:
    is_right = (auth_data.login, auth_data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)
