"""Alerts by their names."""

import ssl

from cos_inspect.captures.wire.tls_alerts import alert_name


def test_names_are_those_of_the_registry() -> None:
    known = {
        each.value: each.name.removeprefix("ALERT_DESCRIPTION_").lower()
        for each in ssl.AlertDescription
    }
    assert known
    for number, name in known.items():
        assert alert_name(number) == {"user_cancelled": "user_canceled"}.get(name, name)


def test_what_has_no_name_has_a_number() -> None:
    assert alert_name(200) == "alert 200"
