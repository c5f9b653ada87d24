"""Recipients' domains to the providers of their mailboxes."""

from pathlib import Path

import pytest

from postmeter.shared.errors import SettingsError
from postmeter.tracking.recipients.mailbox_providers import OTHER, MailboxExchangers, MailboxProviders


def test_the_large_ones_are_known() -> None:
    shipped = MailboxProviders.load()
    known = {
        "gmail.com": "gmail",
        "googlemail.com": "gmail",
        "hotmail.co.uk": "outlook",
        "msn.com": "outlook",
        "yahoo.fr": "yahoo",
        "aol.com": "yahoo",
        "yahoo.co.jp": "yahoo_japan",
        "privaterelay.appleid.com": "icloud",
        "gmx.at": "gmx",
        "qq.com": "qq",
    }
    assert {domain: shipped.of(domain) for domain in known} == known
    assert [shipped.of(domain) for domain in ("shop.example", "gmail.com.example", "", "com")] == [OTHER] * 4


def test_another_file_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "providers.txt"
    file.write_text("# ours\nacme  acme.example xn--mnchen-3ya.example # both\n\nacme mail.acme.example\n")
    ours = MailboxProviders.load(str(file))
    assert [ours.of(d) for d in ("acme.example", "xn--mnchen-3ya.example", "mail.acme.example", "gmail.com")] == [
        *["acme"] * 3,
        OTHER,
    ]


@pytest.mark.parametrize(
    "line", ["gmail Gmail.com", "gmail a.example a.example", "Gmail a.example", "gmail münchen.example", "gmail a..b"]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "providers.txt"
    file.write_text(f"# first\n{line}\n")
    with pytest.raises(SettingsError, match="line 2"):
        MailboxProviders.load(str(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="POSTMETER_MAILBOX_PROVIDERS"):
        MailboxProviders.load(str(tmp_path / "none"))


def test_hosts_are_named_by_the_longest_end_of_their_names() -> None:
    shipped = MailboxExchangers.load()
    known = {
        "aspmx.l.google.com": "google_workspace",
        "aspmx2.googlemail.com": "google_workspace",
        "alt1.gmail-smtp-in.l.google.com": "gmail",
        "shop-example.mail.protection.outlook.com": "microsoft_365",
        "hotmail-com.olc.protection.outlook.com": "outlook",
        "mx-biz.mail.am0.yahoodns.net": "yahoo",
        "mx2.zoho.eu": "zoho",
        "mail.protonmail.ch": "proton",
        "mxb-00012345.gslb.pphosted.com": "proofpoint",
        "d12345.a.ess.uk.barracudanetworks.com": "barracuda",
        "inbound-smtp.eu-west-1.amazonaws.com": "amazon_workmail",
    }
    assert {host: shipped.of(host) for host in known} == known
    others = ["", "com", "notgoogle.com", "google.com.mx.example", "ec2-9-1-2-3.eu-west-1.compute.amazonaws.com"]
    assert [shipped.of(host) for host in others] == [OTHER] * len(others)
