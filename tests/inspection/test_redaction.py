"""Texts and structs by themselves: what is secret is masked, and nothing else."""

import pytest

from cos_inspect.cos.tables import rows
from cos_inspect.inspection.redaction import LONGEST, Redactor, mask
from cos_inspect.model.summary import Summary
from cos_inspect.rules.registry import RULES
from tests.inspection.everything import Path, filled, members, name_of, replaced
from tests.inspection.test_redacted_report import TOKEN, written


@pytest.mark.parametrize("path", [path for path, masked in members(Summary) if masked], ids=name_of)
def test_every_member_of_the_summary_is_masked(path: Path) -> None:
    whole = replaced(filled(Summary, "x"), path, f"a token: {TOKEN}")
    assert TOKEN not in written(Redactor().struct(whole))


def _words() -> dict[str, str]:
    """Our own texts: of tables and of rules."""
    tables = ("checks", "ci_paths", "clients", "connections", "errors", "headers", "hosts", "marks",
              "operations", "parameters", "platforms", "regions", "secrets", "signature_mistakes",
              "signed_headers", "skips", "sse", "statuses", "trust")  # fmt: skip
    found = {
        f"{table}.tsv {number} {column}": text
        for table in tables
        for number, row in enumerate(rows(table))
        for column, text in row.items()
    }
    for rule in RULES:
        for name in ("title", "when", "cause", "fix", "example"):
            found[f"{rule.id} {name}"] = getattr(rule, name)
    return found


def test_none_of_our_own_words_is_masked() -> None:
    words = _words()
    assert len(words) > 5000
    assert {place: Redactor().text(text) for place, text in words.items()} == words


@pytest.mark.parametrize("length", [LONGEST + 1, 10 * LONGEST])
def test_a_text_beyond_all_bounds_is_masked_whole_if_at_all(length: int) -> None:
    innocent = "a" * length
    assert Redactor().text(innocent) == innocent
    for text in (f"token={TOKEN}&{innocent}", f"{innocent} {TOKEN}"):
        shown = Redactor([TOKEN]).text(text)
        assert shown.startswith("[masked:")
        assert len(shown) < 20


def test_a_query_beyond_all_bounds_is_masked_whole_and_so_is_every_word() -> None:
    redactor = Redactor()
    shown = redactor.url(
        f"https://a.example/k?{'a=b&' * LONGEST}x%2Dcos-security-token={TOKEN}&c=d"
    )
    assert shown.startswith("https://a.example/k?[masked:")
    assert len(shown) < 50
    redactor = Redactor()
    redactor.url(f"https://a.example/k?x%2Dcos-security-token={TOKEN}&{'a=b&' * LONGEST}")
    assert TOKEN not in redactor.text(f"what is repeated: {TOKEN}")


def test_texts_that_name_very_many_secrets_are_masked_whole_and_so_is_every_word() -> None:
    many = "&".join(f"token=kM2xQ9vT{number}" for number in range(300))
    for texts in ([many], many.split("&"), [f"Cookie: {many.replace('&', ';')}"]):
        redactor = Redactor()
        for text in texts:
            redactor.text(text)
        assert "[masked:" in redactor.text(texts[-1])
        assert "kM2xQ9vT299" not in redactor.text(texts[-1])
        for number in (0, 63, 64, 255, 256, 299):
            shown = redactor.text(f"no access for kM2xQ9vT{number} here")
            assert shown == f"no access for {mask(f'kM2xQ9vT{number}')} here"
        assert redactor.text("nothing is secret here") == "nothing is secret here"


def test_half_a_pair_of_surrogates_is_no_fault() -> None:
    for text in ("a\ud800b", "\udcff", "token=\ud800secret"):
        assert "secret" not in Redactor().text(text)
