"""The closed set of reasons that bounces are counted under."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a mail bounced, in words for a person. The value is what is stored and shown.

    The codes are the enhanced status codes (RFC 3463, RFC 5248 and the IANA registry) that decide for it; X is
    any class. codes.py has the whole table, phrases.py the words that decide where no such code is given.
    """

    INVALID_RECIPIENT = "Invalid recipient"
    """There is no such mailbox, or the address is none: X.1.1, X.1.3, X.1.4, X.1.6, X.1.10, X.7.17, X.7.18."""
    MAILBOX_FULL = "Mailbox full"
    """X.2.2."""
    MAILBOX_DISABLED = "Mailbox disabled"
    """The mailbox is there, but takes no mail: X.2.1."""
    MESSAGE_TOO_LARGE = "Message too large"
    """X.2.3, X.3.4, X.7.16."""
    DNS_FAILURE = "DNS failure"
    """The recipient's domain or its mail servers cannot be found: X.1.2, X.4.3, X.4.4."""
    SERVER_UNAVAILABLE = "Server unavailable"
    """The recipient's server did not answer, is down, busy or full, or kept a mail waiting for too long: X.3.1,
    X.3.2, X.4.1, X.4.2, X.4.5, X.4.7."""
    ROUTING_FAILURE = "Routing failure"
    """The mail went to a server that does not take it or sends it round: X.2.4, X.3.5, X.4.6; relaying denied."""
    MALFORMED_MESSAGE = "Malformed message"
    """A server did not understand the message or its commands: X.3.3, X.5.1, X.5.2, X.5.4 to X.5.6, X.6.x."""
    SENDER_REJECTED = "Sender rejected"
    """The sender's address is bad or unwelcome: X.1.7, X.1.8, X.7.27."""
    SPAM_CONTENT = "Spam content"
    """The message looks like spam. No code says so: phrases within X.7.x."""
    MALWARE = "Malware or attachment"
    """A virus, or an attachment of a kind that is not let in. No code says so: phrases within X.7.x."""
    IP_REPUTATION = "Blocked: IP reputation"
    """The sending IP is listed or known for spam. No code of the registry says so: phrases within X.7.x."""
    DOMAIN_REPUTATION = "Blocked: domain reputation"
    """The sender's domain, or one that the message links to, is listed. Phrases within X.7.x."""
    POLICY = "Policy"
    """Refused by a rule of the recipient's that is not specified any further: X.7.0, X.7.1, X.7.2."""
    AUTHENTICATION_FAILED = "Authentication failed"
    """SPF, DKIM, DMARC, ARC, reverse DNS or the sender's login: X.7.8, X.7.9, X.7.12 to X.7.14, X.7.20 to X.7.26,
    X.7.29."""
    ENCRYPTION_REQUIRED = "Encryption required"
    """X.7.3 to X.7.7, X.7.10, X.7.11, X.7.30."""
    RATE_LIMITED = "Rate limited"
    """Too much mail at once, or to too many: X.5.3, X.7.28."""
    SUPPRESSED = "Suppressed by provider"
    """The email provider did not even try, because this address bounced or complained before. Phrases only."""
    TEMPORARY_FAILURE = "Temporary failure"
    """It may work later, and no more is known; greylisting. 4.7.0, 4.7.1, and every other soft bounce."""
    OTHER = "Other"
    """No more is known of a hard bounce."""
