"""A certificate authority of a test's own, which nobody else trusts, and what it vouches for."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """Files, as PEM."""

    certificate: Path
    key: Path


class Authority:
    """Its own certificate is the file `certificate`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("a test's authority")
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(self._signed(self._name, self._key, x509.BasicConstraints(True, None)))

    def vouch(self, *hosts: str) -> Certificate:
        """A certificate for these names or addresses, good for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = Certificate(self._folder / f"{'-'.join(hosts)}.pem", self._folder / f"{'-'.join(hosts)}.key")
        made.certificate.write_bytes(self._signed(_name(hosts[0]), key, _names(hosts)))
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        made.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return made

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        signed = builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _names(hosts: tuple[str, ...]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        with suppress(ValueError):
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
            continue
        names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)
