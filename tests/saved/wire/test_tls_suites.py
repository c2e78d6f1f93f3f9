"""The table of cipher suites."""

import ssl

from cos_inspect.captures.wire.tls_suites import _suites, suite_of
from cos_inspect.cos.tables import rows


def test_the_table_knows_what_openssl_offers() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    for cipher in context.get_ciphers():
        number = cipher["id"] & 0xFFFF
        suite = suite_of(number)
        assert not suite.name.startswith("0x"), cipher["name"]
        is_read = cipher["aead"] and "ARIA" not in cipher["name"]
        assert (suite.aead is not None) == is_read, cipher["name"]
        if is_read:
            assert suite.key_length * 8 == cipher["strength_bits"], cipher["name"]


def test_rows_are_in_order_and_say_what_their_names_say() -> None:
    numbers = [row["number"] for row in rows("tls_suites")]
    assert numbers == sorted(set(numbers))
    for suite in _suites().values():
        if suite.aead is not None:
            assert ("_256_" in suite.name or "CHACHA20" in suite.name) == (suite.key_length == 32)
            assert suite.name.endswith("SHA384") == (suite.hash == "sha384")
            assert ("CCM_8" in suite.name) == (suite.aead == "aes-ccm-8")


def test_an_unknown_suite_is_named_by_its_number() -> None:
    assert suite_of(0xABCD).name == "0xabcd"
    assert suite_of(0xABCD).aead is None
