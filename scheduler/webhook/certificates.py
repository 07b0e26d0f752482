"""Certificates for the webhook: an authority of its own, and what it signs.

The authority lasts five years, a certificate 90 days; each is made anew when two thirds are over.
A new authority stands before the old one in what callers trust, until the old one's time is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scheduler.core.model.errors import InvalidInput

AUTHORITY_DAYS = 5 * 365
SERVING_DAYS = 90

_CLOCKS_APART = timedelta(hours=1)
"""How much later than ours somebody's clock may be."""

CERTIFICATE, KEY, TRUSTED, AUTHORITY_KEY = "tls.crt", "tls.key", "ca.crt", "ca.key"
"""Names of files; the first three are those of Kubernetes and cert-manager."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM. `trusted` holds the authority that signed the certificate, and perhaps the one before.

    Keys are left out when it is shown.
    """

    certificate: bytes
    key: bytes
    trusted: bytes
    authority_key: bytes

    def files(self) -> dict[str, bytes]:
        """Return it as files."""
        return {
            CERTIFICATE: self.certificate,
            KEY: self.key,
            TRUSTED: self.trusted,
            AUTHORITY_KEY: self.authority_key,
        }

    def __repr__(self) -> str:
        return "Bundle(…)"


def read(files: Mapping[str, bytes]) -> Bundle:
    """Return what the files hold; raise InvalidInput if they don't belong together."""
    try:
        bundle = Bundle(files[CERTIFICATE], files[KEY], files[TRUSTED], files[AUTHORITY_KEY])
        leaf, authority = _leaf(bundle), _authorities(bundle.trusted)[0]
        leaf.verify_directly_issued_by(authority)
        pairs = ((leaf, bundle.key), (authority, bundle.authority_key))
        matching = all(_public(_private(key)) == _public(holder) for holder, key in pairs)
    except (KeyError, IndexError, TypeError, ValueError, InvalidSignature) as problem:
        raise InvalidInput(f"the certificates can't be read: {type(problem).__name__}") from None
    if not matching:
        raise InvalidInput("the certificates and their keys don't belong together")
    return bundle


def renewal_due(bundle: Bundle, names: Sequence[str], *, now: float) -> bool:
    """Whether a new certificate is needed: for other names, or as its time is two thirds over."""
    leaf = _leaf(bundle)
    return _over(leaf, now) or _names(leaf) != sorted(map(str, _general(names)))


def issue(names: Sequence[str], *, now: float, earlier: Bundle | None = None) -> Bundle:
    """Return a new certificate for names or IP addresses, signed by the earlier authority.

    There is a new authority if there was none, or two thirds of its time are over.
    """
    since = datetime.fromtimestamp(now, UTC)
    authorities = _authorities(earlier.trusted) if earlier else []
    if earlier and not _over(authorities[0], now):
        authority, signer = authorities[0], _private(earlier.authority_key)
    else:
        signer = ec.generate_private_key(ec.SECP256R1())
        authority = _authority(signer, since)
        authorities = [authority, *authorities]
    key = ec.generate_private_key(ec.SECP256R1())
    kept = [each for each in authorities if each.not_valid_after_utc > since]
    return Bundle(
        certificate=_serving(names, key, authority, signer, since).public_bytes(Encoding.PEM),
        key=_pem(key),
        trusted=b"".join(each.public_bytes(Encoding.PEM) for each in kept),
        authority_key=_pem(signer),
    )


def _authority(signer: ec.EllipticCurvePrivateKey, since: datetime) -> x509.Certificate:
    # The day in its name tells one authority from the next: callers look issuers up by name.
    name = _name(f"Equipoise webhook authority {since:%Y-%m-%d}")
    uses = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _builder(name, name, signer.public_key(), since, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(uses, critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )


def _serving(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    since: datetime,
) -> x509.Certificate:
    subject = _name("Equipoise webhook")
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(subject, authority.subject, key.public_key(), since, SERVING_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(server, critical=False)
        .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        .add_extension(by, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since - _CLOCKS_APART)
        .not_valid_after(since + timedelta(days=days))
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _over(certificate: x509.Certificate, now: float) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return datetime.fromtimestamp(now, UTC) >= begin + (end - begin) * 2 / 3


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return sorted(map(str, found.value))


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _leaf(bundle: Bundle) -> x509.Certificate:
    return x509.load_pem_x509_certificate(bundle.certificate)


def _authorities(trusted: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(trusted)


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(type(key).__name__)
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(holder: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
