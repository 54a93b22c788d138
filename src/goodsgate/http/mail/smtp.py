"""Sends mail by SMTP.

RFC 5321 and 5322. A mail has the same Message-ID whenever it is sent again, so that a mailbox can tell that it has it.
"""

import re
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

import msgspec

from goodsgate.engine.outbox import DeliveryError
from goodsgate.http.services import MailSettings
from goodsgate.remote.guard import is_allowed

MAILTO = "mailto:"
SUBJECT_CHARACTERS_MAX = 150
_ADDRESS = re.compile(r"mailto:([A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,64})@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)")
_REFUSED = 500
"""Replies from here on are permanent (RFC 5321, 4.2.1)."""


class MailAddressError(Exception):
    """An address to which no mail can be sent; the message says why."""


class MailText(msgspec.Struct, frozen=True):
    """What a mail says."""

    subject: str
    body: str


def is_mail(url: str) -> bool:
    """Return whether a webhook's address is one for mail."""
    return url.startswith(MAILTO)


def parse_mail_address(url: str, settings: MailSettings | None) -> str:
    """Return the address of a ``mailto:`` URL without parameters. Raises MailAddressError."""
    found = _ADDRESS.fullmatch(url)
    if found is None or len(found[2]) > 253 or ".." in found[1] or found[1][0] == "." or found[1][-1] == ".":
        raise MailAddressError("the address must be like mailto:name@example.com, with nothing behind it")
    if settings is None:
        raise MailAddressError("this gate sends no mail (setting mail_host)")
    if not is_allowed(found[2].lower(), settings.domains):
        raise MailAddressError(f"mail to {found[2]} is not allowed (setting mail_domains)")
    return f"{found[1]}@{found[2]}"


def send_mail(settings: MailSettings, address: str, text: MailText, *, id: str, timeout_seconds: float) -> None:
    """Send a text to an address. Raises DeliveryError, which is final if the server refuses the address for good.

    `id` identifies the mail among all of this gate. `timeout_seconds` limits each answer of the server.
    """
    message = _message(settings, address, text, id)
    try:
        with _connect(settings, timeout_seconds) as server:
            if settings.user:
                server.login(settings.user, settings.password)
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as fault:
        code, reply = next(iter(fault.recipients.values()))
        raise DeliveryError(f"the address was refused: {_reply(code, reply)}", final=code >= _REFUSED) from fault
    except smtplib.SMTPAuthenticationError as fault:
        raise DeliveryError("the server refuses mail_user and mail_password", unavailable=True) from fault
    except smtplib.SMTPResponseException as fault:
        reason = f"the server answered {_reply(fault.smtp_code, fault.smtp_error)}"
        raise DeliveryError(reason, unavailable=fault.smtp_code < _REFUSED) from fault
    except (smtplib.SMTPException, OSError) as fault:
        raise DeliveryError(f"{type(fault).__name__}: {fault}", unavailable=True) from fault


def _connect(settings: MailSettings, timeout_seconds: float) -> smtplib.SMTP:
    """Connect to the server; with TLS its certificate must be its own, which smtplib does not check by itself."""
    if settings.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_seconds, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=timeout_seconds)
    if settings.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _message(settings: MailSettings, address: str, text: MailText, id: str) -> EmailMessage:
    name, sender = parseaddr(settings.sender)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(display_name=name, addr_spec=sender)
    message["To"] = Address(addr_spec=address)
    message["Subject"] = " ".join(text.subject.split())[:SUBJECT_CHARACTERS_MAX]
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answers
    message.set_content(text.body)
    return message


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"
