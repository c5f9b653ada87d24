"""Bounce reasons: the same reason in other words is one reason, and codes decide where they are there."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.aggregator.bounces import LIMIT, USED, Reason, codes, normalise, phrases
from postmeter.shared.stream.events import BounceType

HARD, SOFT = BounceType.HARD, BounceType.SOFT

SAME_IN_OTHER_WORDS = {
    Reason.INVALID_RECIPIENT: (
        "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the address",
        "550-5.1.1 The email account that you tried to\r\n550-5.1.1 reach does not exist",
        "smtp; 550 5.1.1 <nobody@reader.example>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient nobody@reader.example not found by SMTP address lookup",
        "550 5.4.1 Recipient address rejected: Access denied. [DB5EUR01FT012.eop-EUR01.prod.protection.example]",
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
        "554 delivery error: dd This user doesn't have a yahoo.example account (nobody@yahoo.example) [0]",
        "554 delivery error: dd This user doesn’t have a yahoo.example account",
        "552 1 Requested mail action aborted, mailbox not found",
        "No Such User Here",
        "NoEmail",
        "BadEmailAddress",
        "Invalid Recipient",
        "Generic Bounce: No RCPT",
        "553 sorry, that domain isn't in my list, but nobody by that name",
        "The email address is badly formatted or does not exist",
        "unknown user, mailbox not found",
    ),
    Reason.MAILBOX_FULL: (
        "452-4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to",
        "552 5.2.2 Mailbox size limit exceeded",
        "550 5.2.0 STOREDRV.Deliver.Exception:QuotaExceededException; Failed to process message",
        "Mailbox full",
        "MailboxFull",
        "mailbox_full",
        "552 Requested mail action aborted: exceeded storage allocation",
        "user has exceeded his/her disk quota",
        "554 5.0.0 recipient's inbox is full",
    ),
    Reason.MAILBOX_DISABLED: (
        "550 5.2.1 The email account that you tried to reach is disabled.",
        "554 30 Sorry, your message to reader@yahoo.example cannot be delivered. This mailbox is disabled (554.30).",
        "550 account is inactive",
        "Recipient's account has been suspended",
        "550 No longer accepting messages: mailbox is no longer active",
    ),
    Reason.MESSAGE_TOO_LARGE: (
        "552-5.2.3 Your message exceeded Google's message size limits.",
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "552 message too large",
        "MessageTooLarge",
        "Too Large",
        "Message size exceeds the limit of the administrative policy",
    ),
    Reason.DNS_FAILURE: (
        "Host or domain name not found. Name service error for name=nowhere.example type=MX: Host not found",
        "550 5.4.4 Unable to route: no mail hosts for domain",
        "DNS Failure",
        "DnsError",
        "556 5.1.2 Domain does not accept mail",
        "550 5.4.310 DNS domain nowhere.example does not exist [Message=InfoDomainNonexistent]",
        "unable to get mx info: failed to get IPs from PTR record: lookup <nil>: could not resolve",
        "no MX record found for domain",
    ),
    Reason.SERVER_UNAVAILABLE: (
        "4.4.1 connection timed out",
        "connect to mx.reader.example[192.0.2.25]:25: Connection refused",
        "server is down",
        "421 Service not available, closing transmission channel",
        "452 4.3.1 Insufficient system storage",
        "452 Insufficient system storage",
        "550 4.4.7 QUEUE.Expired; message expired",
        "retry timeout exceeded",
        "Unable to deliver message: host unreachable",
    ),
    Reason.ROUTING_FAILURE: (
        "554 5.7.1 <reader@reader.example>: Relay access denied",
        "550 relaying denied",
        "554 5.4.14 Hop count exceeded - possible mail loop ATTR34",
        "5.4.6 mail for reader.example loops back to myself",
        "Relaying Denied",
    ),
    Reason.MALFORMED_MESSAGE: (
        "500 5.5.1 Command unrecognized",
        "501 Syntax error in parameters or arguments",
        "550 5.6.0 Lone CR or LF in headers",
        "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
        "Messages with bare LF are not accepted",
    ),
    Reason.SENDER_REJECTED: (
        "450 4.1.8 <news@shop.example>: Sender address rejected: Domain not found",
        "553 Sender address rejected: Domain not found",
        "550 5.7.1 Sender denied",
        "550 Sender verify failed",
    ),
    Reason.SPAM_CONTENT: (
        "550-5.7.1 [192.0.2.7] Our system has detected that this message is\n"
        "550-5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail,",
        "554 5.7.1 Message rejected as spam by Content Filtering.",
        "Spam Content",
        "SpamNotification",
        "ContentRejected",
        "550 High probability of spam",
        "554 Blocked - see https://community.example/spam: phishing",
    ),
    Reason.MALWARE: (
        "552-5.7.0 This message was blocked because its content presents a potential security issue.",
        "550 5.7.1 virus found in attachment",
        "AttachmentRejected",
        "Prohibited Attachment",
    ),
    Reason.IP_REPUTATION: (
        "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service provider"
        " since part of their network is on our block list (S3140).",
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org",
        "550 5.7.606 Access denied, banned sending IP [192.0.2.7]",
        "Spam Block",
        "421 4.7.0 [192.0.2.7] IP blacklisted, see https://bl.example/query?ip=192.0.2.7",
        "571 Email from 192.0.2.7 is currently blocked by the Barracuda reputation system",
    ),
    Reason.DOMAIN_REPUTATION: (
        "550-5.7.1 Our system has detected that this message is likely suspicious due to the very low reputation of the"
        " sending domain.",
        "554 5.7.1 Message contains a blacklisted URL listed in multi.surbl.example",
        "550 your domain is blacklisted",
    ),
    Reason.AUTHENTICATION_FAILED: (
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.",
        "550 5.7.1 Email rejected per DMARC policy for shop.example",
        "550 5.7.509 Access denied, sending domain shop.example does not pass DMARC verification",
        "550 5.7.25 [192.0.2.7] The IP address sending this message does not have a PTR record setup",
        "550 SPF check failed",
        "530 5.7.57 Client not authenticated to send mail",
    ),
    Reason.ENCRYPTION_REQUIRED: (
        "530 5.7.0 Must issue a STARTTLS command first",
        "550 5.7.10 Encryption needed",
        "TLS required by the recipient",
    ),
    Reason.RATE_LIMITED: (
        "450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        "421-4.7.28 [192.0.2.7] Our system has detected an unusual rate of unsolicited mail",
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints",
        "421 RP-001 Unfortunately, some messages weren't sent: the mail server IP has exceeded the rate limit",
        "452 4.5.3 Too many recipients",
        "451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation.",
        "throttled",
    ),
    Reason.SUPPRESSED: (
        "Bounced Address",
        "Not delivering to previously bounced address",
        "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid"
        " address.",
        "OnAccountSuppressionList",
        "Recipient in suppression list. Reason: unsubscription",
    ),
    Reason.POLICY: (
        "550 5.7.1 Message rejected due to local policy",
        "[CS01] Message rejected due to local policy",
        "policy issue",
        "550 Administrative prohibition",
        "Mail Block",
        "554 5.7.1 Access denied",
    ),
    Reason.TEMPORARY_FAILURE: (
        "450 4.7.1 Greylisted, please try again in 300 seconds",
        "4.7.1 Temporary error, please retry",
        "451 Temporary local problem - please try later",
        "Soft Bounce",
        "soft_bounce",
        "Transient Failure",
        "451 Requested action aborted: local error in processing",
    ),
    Reason.OTHER: ("", "hard bounce", "550 no", "General", "Unknown reason", "554 5.0.0", "250 2.1.1 fine", "🤷"),
}
CASES = [(text, reason) for reason, texts in SAME_IN_OTHER_WORDS.items() for text in texts]
TEXTS = st.sampled_from([text for text, _ in CASES])
PHRASES = st.sampled_from([" ".join(parts) for _, parts in phrases.PHRASES])
DEFINITE = st.sampled_from(sorted(codes.DEFINITE.items()))
CLASSES = st.sampled_from("45")


@pytest.mark.parametrize(("text", "reason"), CASES)
def test_the_same_reason_in_other_words_is_one_reason(text: str, reason: Reason) -> None:
    assert normalise(text, HARD) is reason


def test_every_reason_has_examples_and_every_phrase_a_reason() -> None:
    assert set(SAME_IN_OTHER_WORDS) == set(Reason)
    assert {reason for reason, _ in phrases.PHRASES} == set(Reason) - {Reason.OTHER}


def test_what_tells_nothing_is_told_apart_by_how_final_it_is() -> None:
    for text in ("", "Unknown reason", "General", "something went wrong", "554 5.0.0"):
        assert (normalise(text, HARD), normalise(text, SOFT)) == (Reason.OTHER, Reason.TEMPORARY_FAILURE)
    unavailable = "Requested action not taken: mailbox unavailable"
    assert normalise(f"550 {unavailable}", HARD) is Reason.INVALID_RECIPIENT
    assert normalise(f"450 {unavailable}", SOFT) is Reason.TEMPORARY_FAILURE


SPACES = (" ", "\n", "\r\n", "\t ", "   ", "\r\n\t", "\u00a0", "\\n", "\\r\\n")


@given(TEXTS, st.integers(0, 2**32))
def test_case_white_space_and_wrapping_mean_nothing(text: str, seed: int) -> None:
    noise = random.Random(seed)
    expected = normalise(text, HARD)
    wrapped = "".join(word + noise.choice(SPACES) for word in text.split())
    swapped = "".join(char.swapcase() if char.isascii() and noise.random() < 0.5 else char for char in wrapped)
    for other in (wrapped, swapped, wrapped.upper(), f"  {wrapped.lower()}"):
        assert normalise(other, HARD) is expected, other


@given(DEFINITE, CLASSES, PHRASES, st.sampled_from([HARD, SOFT]))
def test_a_code_that_says_what_it_is_wins_over_any_phrase(
    known: tuple[tuple[int, int], Reason], kind: str, phrase: str, bounce: BounceType
) -> None:
    (subject, detail), reason = known
    code = f"{kind}.{subject}.{detail}"
    for text in (
        f"{code} {phrase}",
        f"{kind}50 {code} {phrase}",
        f"{kind}50-{code} {phrase}",
        f"{phrase} ({code})",
        f"{phrase}; status: {code}",
        f"smtp; {kind}54 {code} {phrase}",
        f"{phrase} #{code}",
        # SendGrid's status beside what the server said.
        f"5.0.0 {kind}50 {code} {phrase}",
    ):
        assert normalise(text, bounce) is reason, text


@given(PHRASES)
def test_a_vague_code_keeps_phrases_to_its_subject(phrase: str) -> None:
    within = codes._SECURITY | {Reason.POLICY}
    assert normalise(f"550 5.7.1 {phrase}", HARD) in within
    assert normalise(f"451 4.7.1 {phrase}", SOFT) in within - {Reason.POLICY} | {Reason.TEMPORARY_FAILURE}


@pytest.mark.parametrize(
    "text",
    [
        "user unknown (Exim 4.2.2)",
        "user unknown, Postfix version 5.2.2",
        "user unknown at 5.2.2.1",
        "user unknown at 10.5.2.2",
        "user unknown from [5.2.2.9]",
        "user unknown [192.5.2.2]",
        "user unknown mta/5.2.2",
        "user unknown v5.2.2",
        "user unknown (5.2.2-rc1)",
        "user unknown (5.2.2.8)",
        "user unknown 2001:db8::5.2.2.1",
        "user unknown, id 15.2.2",
        "user unknown, 3.2.2",
        "user unknown (5.2.2222)",
        "user unknown (5.9.2)",
        "550 2.2.2 user unknown",
    ],
)
def test_what_only_looks_like_a_code_decides_nothing(text: str) -> None:
    assert normalise(text, HARD) is Reason.INVALID_RECIPIENT


@pytest.mark.parametrize("text", ["we sent 552 of 1000", "port 552", "552.5 kB", "552,000 mails", "x552", "[552a]"])
def test_other_numbers_are_not_basic_codes(text: str) -> None:
    assert normalise(text, HARD) is Reason.OTHER


@pytest.mark.parametrize(
    "text",
    ["552", "552 nope", "552-nope", "smtp; 552 nope", "host said: 552 nope", "error 552", "(552) x", "code: 552"],
)
def test_a_basic_code_decides_where_nothing_else_does(text: str) -> None:
    assert normalise(text, HARD) is Reason.MAILBOX_FULL


@given(st.text(max_size=300) | st.text("5.1 0-#;:[]()\n").map(lambda text: text * 20), st.integers(-5, 5))
def test_it_never_raises_and_always_gives_one_of_the_set(text: str, bounce: int) -> None:
    assert normalise(text, bounce) in Reason
    assert normalise(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), bounce) in Reason


def test_lone_surrogates_and_nul_are_no_trouble() -> None:
    assert normalise("mailbox full \ud800\0", HARD) is Reason.MAILBOX_FULL


@pytest.mark.parametrize("piece", ["5.1.", "550-", "550 5.", "user ", "exceed ", "\\r", "'", "a\n", " ", "4.4.7 ", "É"])
def test_only_so_much_of_a_text_is_looked_at(piece: str) -> None:
    """What is behind the bound changes nothing, so that no text takes longer than its first characters."""
    long = piece * (LIMIT // len(piece) + 1)
    assert normalise(long + "mailbox full", HARD) is normalise(long, HARD)
    assert normalise("x" * USED + " mailbox full", HARD) is Reason.OTHER


def test_names_are_short_and_plain() -> None:
    assert all(re.fullmatch(r"[A-Z][A-Za-z: ]{1,30}", reason) for reason in Reason)
    assert len({reason.lower() for reason in Reason}) == len(Reason) <= 20
