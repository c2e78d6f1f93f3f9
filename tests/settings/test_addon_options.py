from collections.abc import Sequence

from cos_inspect.report.formats import FORMATS
from cos_inspect.settings.addon_options import OPTIONS, SEVERITIES


def test_every_option_is_a_string_or_a_sequence_of_strings() -> None:
    names = [name for name, *_ in OPTIONS]
    assert len(names) == len(set(names))
    for name, kind, default, text in OPTIONS:
        assert name.startswith("cos_")
        assert kind in (str, Sequence[str])
        assert isinstance(default, str if kind is str else list)
        assert text.endswith(".")


def test_formats_and_severities_are_named_in_their_options() -> None:
    texts = {name: text for name, _, _, text in OPTIONS}
    assert all(word in texts["cos_report_format"] for word in FORMATS)
    assert all(word in texts["cos_fail_on"] for word in SEVERITIES)
