"""A certificate for tests, signed by itself, and its key as PEM files."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate, which is its own authority, and of its key; `locked_key` is the same with a password."""

    certificate: Path
    key: Path
    locked_key: Path


def make(folder: Path) -> Pair:
    """For localhost and 127.0.0.1, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xylem test")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(folder / "tls.crt", folder / "tls.key", folder / "locked.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    locks: tuple[tuple[Path, serialization.KeySerializationEncryption], ...] = (
        (pair.key, serialization.NoEncryption()),
        (pair.locked_key, serialization.BestAvailableEncryption(b"secret")),
    )
    for path, lock in locks:
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
        path.chmod(0o600)
    return pair
