import pytest

from cos_inspect.cos.ci_paths import find_ci_path, is_ci_path, path_fits, path_segments
from cos_inspect.cos.tables import rows


@pytest.mark.parametrize("row", rows("ci_paths"), ids=lambda row: row["path"])
def test_each_service_and_its_items_are_found(row: dict[str, str]) -> None:
    service = find_ci_path(f"/{row['path']}")
    item = find_ci_path(f"/{row['path']}/abc123")
    assert service is not None
    assert item is not None
    assert (service.noun, service.answer, service.has_item) == (row["noun"], row["answer"], False)
    assert (item.noun, item.answer, item.has_item) == (row["noun"], row["answer"], True)
    assert is_ci_path(f"/{row['path']}")


@pytest.mark.parametrize("path", ["/", "/photos/cat.jpg", "/jobs.txt", "//", "/%6Aobs"])
def test_an_object_is_no_service(path: str) -> None:
    assert find_ci_path(path) is None
    assert not is_ci_path(path)


def test_paths_with_names_of_their_own_are_known() -> None:
    written = [
        row["path"]
        for row in rows("operations")
        if row["family"] == "ci-path" and "{ci}" not in row["path"]
    ]
    assert written
    for path in written:
        assert is_ci_path("/" + path.strip("/").replace("*", "abc"))


@pytest.mark.parametrize(
    ("wanted", "path", "fits"),
    [
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", True),
        ("a/*", "a", False),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/c/d", False),
        ("a/*", "a//b", False),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_a_star_is_one_segment_and_at_the_end_more(wanted: str, path: str, fits: bool) -> None:
    assert path_fits(path_segments(wanted), path_segments(path)) is fits
