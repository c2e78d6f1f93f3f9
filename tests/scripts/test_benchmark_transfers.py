"""What the benchmark plants is found, however much lies between."""

from scripts.benchmark_transfers import transfers_case


def test_bad_uploads_are_found_among_many() -> None:
    result = transfers_case(parts=3000, uploads=60)
    assert result["bad uploads found"] == "20 of 20"
    assert result["transfers in the summary"] == 60
