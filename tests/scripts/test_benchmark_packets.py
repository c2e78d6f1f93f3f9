from scripts.benchmark_packets import packets_case


def test_captures_in_the_clear_and_encrypted_are_read_whole() -> None:
    """The case itself refuses any verdict but ok."""
    cases = list(packets_case(connections=1))
    assert len({case["case"] for case in cases}) == 4
    assert all(case["MB"] >= 6 and case["peak MiB"] > 0 for case in cases)
