"""Certificates that Go's and Python's TLS take, and when new ones are made."""

import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509

from scheduler.core.model.errors import InvalidInput
from scheduler.webhook import certificates
from scheduler.webhook.certificates import AUTHORITY_DAYS, SERVING_DAYS, Bundle

NAMES = ("equipoise-webhook.equipoise-system.svc", "127.0.0.1")
NOW = 1_800_000_000.0
DAY = 86_400.0


def issue(now: float = NOW, earlier: Bundle | None = None) -> Bundle:
    return certificates.issue(NAMES, now=now, earlier=earlier)


def leaf(bundle: Bundle) -> x509.Certificate:
    return x509.load_pem_x509_certificate(bundle.certificate)


def trusted(bundle: Bundle) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(bundle.trusted)


def test_it_is_for_its_names_for_90_days_and_for_servers_only() -> None:
    found = leaf(issue())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAMES[0]]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [NAMES[1]]
    lasts = found.not_valid_after_utc - datetime.fromtimestamp(NOW, UTC)
    assert lasts.days == SERVING_DAYS
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_authority_signed_it_and_can_sign_no_other_authority() -> None:
    bundle = issue()
    (authority,) = trusted(bundle)
    leaf(bundle).verify_directly_issued_by(authority)
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)


def test_files_read_back() -> None:
    bundle = issue()
    assert certificates.read(bundle.files()) == bundle
    assert set(bundle.files()) == {"tls.crt", "tls.key", "ca.crt", "ca.key"}


def test_keys_are_never_shown() -> None:
    assert "PRIVATE" not in repr(issue())


DAMAGE = {
    "a file missing": {"tls.key": None},
    "no certificate": {"tls.crt": b"no"},
    "no authority": {"ca.crt": b""},
    "another key": {"tls.key": issue().key},
    "another authority": {"ca.crt": issue().trusted, "ca.key": issue().authority_key},
    "another authority's key": {"ca.key": issue().authority_key},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_doesnt_belong_together_is_not_taken(damage: dict[str, bytes | None]) -> None:
    files = {**issue().files(), **damage}
    with pytest.raises(InvalidInput, match="the certificates"):
        certificates.read({name: text for name, text in files.items() if text is not None})


@pytest.mark.parametrize(
    ("days", "due"), [(0, False), (59, False), (60.5, True), (89, True), (91, True), (-30, False)]
)
def test_it_is_due_when_two_thirds_are_over(days: float, due: bool) -> None:
    assert certificates.renewal_due(issue(), NAMES, now=NOW + days * DAY) is due


def test_other_names_need_another_one_in_whatever_order() -> None:
    bundle = issue()
    assert not certificates.renewal_due(bundle, NAMES[::-1], now=NOW)
    assert certificates.renewal_due(bundle, (*NAMES, "localhost"), now=NOW)


def test_a_renewal_keeps_the_authority() -> None:
    first = issue()
    second = issue(NOW + 61 * DAY, first)
    assert (second.trusted, second.authority_key) == (first.trusted, first.authority_key)
    assert second.certificate != first.certificate
    assert second.key != first.key
    assert not certificates.renewal_due(second, NAMES, now=NOW + 61 * DAY)
    certificates.read(second.files())


def test_a_new_authority_stands_beside_the_old_one_until_that_ends() -> None:
    first = issue()
    late = NOW + AUTHORITY_DAYS * DAY * 0.7
    second = issue(late, first)
    assert trusted(second)[1:] == trusted(first)
    assert trusted(second)[0] != trusted(first)[0]
    certificates.read(second.files())
    third = issue(NOW + (AUTHORITY_DAYS + 1) * DAY, second)
    assert trusted(third) == trusted(second)[:1]


def test_every_certificate_ends_before_its_authority() -> None:
    bundle, now = issue(), NOW
    for _ in range(60):
        now += 60 * DAY
        bundle = issue(now, bundle)
        assert leaf(bundle).not_valid_after_utc < trusted(bundle)[0].not_valid_after_utc


def test_pythons_own_strict_verifier_takes_it() -> None:
    context = ssl.create_default_context(cadata=issue().trusted.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] == 1
