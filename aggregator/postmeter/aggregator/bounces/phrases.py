"""Phrases by which servers and email providers give a bounce's reason where no code does.

A phrase stands at the beginning of a word; `*` in it stands for anything. The text has no punctuation and no
apostrophes by then. The first phrase that is found decides, so that what tells more stands first.
"""

from __future__ import annotations

from collections.abc import Container

from postmeter.aggregator.bounces.reasons import Reason

_PHRASES: tuple[tuple[Reason, str], ...] = (
    (
        Reason.SUPPRESSED,
        "suppression list|suppressionlist|onaccountsuppressionlist|suppressed|previously bounced"
        "|bounced address|unsubscribed address|spam reporting address|unsubscribed user|marked as inactive"
        "|manually deactivated|manuallydeactivated|recipient unsubscribed",
    ),
    (
        Reason.RATE_LIMITED,
        "sending quota|sending limit|daily quota|daily limit|hourly limit|rate limit|ratelimit|throttl"
        "|too many messages|too many emails|too many mails|too many connections|too many concurrent"
        "|too many recipients|too many sessions|receiving mail at a rate|receiving mail too quickly"
        "|unusual rate|unexpected volume|message rate|rate exceeded|connection rate|mail flood|too much mail"
        "|slow down|exceeded permitted limits|sending rate|maximum sending",
    ),
    (
        Reason.SERVER_UNAVAILABLE,
        "insufficient system|not enough system|out of system resources",
    ),
    (
        Reason.MAILBOX_FULL,
        "mailbox full|mailboxfull|mailbox is full|mailbox * is full|mailbox size limit|mailbox has exceeded"
        "|mailbox exceeded|mail box full|mail box is full|full mailbox|inbox full|inbox is full"
        "|inbox * is full|over quota|overquota|out of quota|quota exceed|quotaexceed|quota full"
        "|quota is exceeded|quota has been exceeded|exceed * quota|exceeds * quota|exceeded * quota"
        "|exceeding * quota|exceededquota|disk quota|mail quota|exceeded storage|exceeded its storage"
        "|storage allocation|storage limit|out of storage|storage space|storage exceeded|not enough storage"
        "|no space left in mailbox|user is over|account is full",
    ),
    (
        Reason.MESSAGE_TOO_LARGE,
        "message too large|messagetoolarge|message too big|message is too large|message is too big|too large"
        "|toolarge|message size exceed|message exceed|message length exceed|size exceeds|exceeds size"
        "|exceeds the size|exceeds maximum|exceeds the maximum|exceeded * maximum message size|size limit"
        "|larger than the|maximum message size|maximum size",
    ),
    (
        Reason.MALWARE,
        "virus|malware|trojan|infected|ransomware|prohibited attachment|attachmentrejected"
        "|attachment rejected|attachment not allowed|attachment is not allowed|attachment type"
        "|blocked attachment|executable attachment|unacceptable attachment|potential security issue",
    ),
    (
        Reason.AUTHENTICATION_FAILED,
        "spf|dkim|dmarc|unauthenticated|not authenticated|isnt authenticated|authentication required"
        "|authentication is required|authentication fail|authentication check|authentication credentials"
        "|authentication unsuccessful|sender authentication|pass authentication|auth failed|reverse dns"
        "|have a ptr|missing ptr|valid ptr|rdns|no ptr",
    ),
    (
        Reason.ENCRYPTION_REQUIRED,
        "starttls|tls required|tls is required|requires tls|require tls|encryption needed|encryption required"
        "|encryption is required|tls negotiation|tls handshake",
    ),
    (
        Reason.DOMAIN_REPUTATION,
        "domain reputation|reputation of the sending domain|reputation of the domain"
        "|reputation of your domain|domain * low reputation|surbl|uribl|rhsbl|dbl spamhaus|spamhaus dbl"
        "|domain is blacklisted|domain blacklisted|domain is blocklisted|domain is listed|blacklisted url"
        "|blacklisted domain|blacklisted link|url is blacklisted|url blocked|blocked url|domain is blocked"
        "|domain blocked",
    ),
    (
        Reason.IP_REPUTATION,
        "spamhaus|spamcop|sorbs|barracuda|senderbase|abuseat|dnsbl|rbl|blacklist|black list|blocklist"
        "|block list|blocked using|banned sending ip|ip reputation|reputation of the ip|reputation of your ip"
        "|low reputation|poor reputation|bad reputation|negative reputation|sender reputation|ip * is blocked"
        "|ip * has been blocked|ip * is banned|ip blocked|blocked ip|client host * blocked|host * is blocked"
        "|known spam source|spam block|spamblock|originating from your ip",
    ),
    (
        Reason.SPAM_CONTENT,
        "spam|antispam|anti spam|unsolicited|junk|phish|bulk mail|bulk email|contentrejected|content rejected"
        "|rejected * content|message content|content filter|content * not accepted|content denied|suspicious",
    ),
    (
        Reason.SENDER_REJECTED,
        "sender rejected|sender address|sender denied|sender verify|sender verification|sender not allowed"
        "|sender is not allowed|bad sender|invalid sender|verify sender|sender domain|sender blocked"
        "|blocked sender|banned sender|envelope sender|return path|senders domain|domain of sender",
    ),
    (
        Reason.ROUTING_FAILURE,
        "relay access denied|relaying denied|relay denied|relaying not|relay not|unable to relay"
        "|permitted to relay|not relay|mail loop|loop detected|routing loop|mail * loops back|too many hops"
        "|hop count|message looping",
    ),
    (
        Reason.DNS_FAILURE,
        "host not found|host or domain name not found|host unknown|unknown host|domain not found"
        "|domain name not found|domain does not exist|domain doesnt exist|no such domain|invalid domain"
        "|bad domain|unknown domain|name service error|nxdomain|dns|no mx|mx record|mx lookup|null mx|nullmx"
        "|could not resolve|cannot resolve|cant resolve|unable to resolve|failed to resolve"
        "|domain * does not accept mail|domain * not accept mail|no valid hosts|unrouteable mail domain"
        "|unroutable domain",
    ),
    (
        Reason.MAILBOX_DISABLED,
        "mailbox disabled|mailbox is disabled|mailbox has been disabled|mailbox locked|mailbox is locked"
        "|mailbox inactive|mailbox is inactive|account disabled|account is disabled|account has been disabled"
        "|account * is disabled|account inactive|account is inactive|account has been suspended"
        "|account suspended|account is suspended|account closed|account has been closed|account expired"
        "|account locked|account is locked|account terminated|user disabled|user is disabled|user inactive"
        "|user is inactive|user is suspended|user suspended|inactive|deactivated|suspended|discontinued"
        "|not accepting mail|not accepting messages|not accepting any|no longer active|no longer accept"
        "|no longer available|no longer in use",
    ),
    (
        Reason.INVALID_RECIPIENT,
        "user unknown|unknown user|unknown local user|userunknown|no such user|nosuchuser|no such recipient"
        "|no such mailbox|no such account|no such address|no such person|no such email|unknown recipient"
        "|recipient unknown|unknown address|address unknown|unknown mailbox|unknown email|unknown account"
        "|addressee unknown|recipient not found|recipientnotfound|recipient * not found|recipient rejected"
        "|recipient address rejected|recipient does not|recipient invalid|recipient is invalid"
        "|invalid recipient|invalidrecipient|bad recipient|invalid address|invalid email|invalid mailbox"
        "|invalid user|invalid destination|user invalid|user is invalid|bad destination|bad address"
        "|bad mailbox|bad email|bademailaddress|noemail|mailbox not found|mailbox unknown|mailbox does not"
        "|mailbox doesnt|mailbox * not exist|address not found|address does not|address doesnt"
        "|address * not exist|email * not exist|user not found|user * not found|user does not|user doesnt"
        "|user * not exist|account not found|account does not|account doesnt|account * not exist"
        "|recipient * not exist|does not exist|doesnt exist|not a valid|isnt a valid|isnt valid"
        "|no mailbox here|no account by|no user by|not our customer|not known here|no longer valid|no rcpt"
        "|unrouteable|unroutable|badly formatted|malformed address|mailbox name not allowed"
        "|doesnt have a * account|does not have a * account|no recipient|verification failed * recipient"
        "|does not like recipient|non existent|nonexistent|unknown or illegal",
    ),
    (
        Reason.SERVER_UNAVAILABLE,
        "connection refused|connection timed|connection timeout|connection reset|connection dropped"
        "|connection closed|connection died|connection lost|connection failed|lost connection|bad connection"
        "|timed out|timeout|time out|no route to host|unreachable|unable to connect|could not connect"
        "|couldnt connect|cannot connect|cant connect|failed to connect|server busy|server is busy"
        "|server too busy|system busy|system is busy|too busy|server is down|server down|host down"
        "|host is down|service not available|service unavailable|service is unavailable"
        "|service temporarily unavailable|service not ready|retry time|maximum retr|message expired"
        "|message has expired|delivery time expired|delivery expired|queue too long|queued too long"
        "|message too old|no answer|not responding|did not respond|failed to respond|closing transmission"
        "|internal server error|server error",
    ),
    (
        Reason.MALFORMED_MESSAGE,
        "syntax error|bad sequence|bad command|command not|command unrecognized|unrecognized command"
        "|unknown command|not implemented|bare lf|bare line|malformed|missing header|invalid header"
        "|duplicate header|8bitmime|smtputf8|rfc 5322|rfc5322|rfc 2822|rfc2822|rfc 5321|rfc5321"
        "|protocol error|invalid helo|bad helo",
    ),
    (
        Reason.TEMPORARY_FAILURE,
        "greylist|graylist|grey list|gray list|temporar|try again|try later|please retry|transient"
        "|soft bounce|softbounce|deferred|local error in processing",
    ),
    (
        Reason.POLICY,
        "policy|not authorized|not authorised|unauthorized|not permitted|not allowed|not accepted"
        "|access denied|administrative prohibition|administratively|admin failure|adminfailure|prohibited"
        "|mail block|blocked|refused|rejected|denied|banned",
    ),
)


def _parted(phrase: str) -> tuple[str, ...]:
    return tuple(f" {part.strip()}" for part in phrase.split("*"))


_START = 3
PHRASES = tuple((reason, _parted(phrase)) for reason, phrases in _PHRASES for phrase in phrases.split("|"))
"""Each phrase in the parts that have to follow each other."""
_BY_START = tuple((parts[0][:_START], reason, parts) for reason, parts in PHRASES)
# For 550 it is the text of RFC 5321 itself, and then nearly always means that there is no such mailbox.
_UNAVAILABLE = (" mailbox unavailable", " mailbox is unavailable", " mailbox not available", " recipient unavailable")


def reason_of(words: str, wanted: Container[Reason], hard: bool) -> Reason | None:
    """The reason among `wanted` that a phrase tells, or None. words: lower case, a space before each word."""
    starts = {f" {word[: _START - 1]}" for word in words.split()}
    for start, reason, parts in _BY_START:
        # Most phrases begin like no word of the text; that is told faster than where they stand in it.
        if start in starts and reason in wanted and _holds(words, parts):
            return reason
    if any(phrase in words for phrase in _UNAVAILABLE):
        guess = Reason.INVALID_RECIPIENT if hard else Reason.TEMPORARY_FAILURE
        return guess if guess in wanted else None
    return None


def _holds(words: str, parts: tuple[str, ...]) -> bool:
    place = 0
    for part in parts:
        place = words.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True
