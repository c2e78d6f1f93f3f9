"""What ``--on`` and ``--label`` take."""

from pathlib import Path

import pytest

from cos_inspect.settings.execution import HERE, Where, is_label, label_of, labels_of, where_of


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("local", Where()),
        ("local:3", Where(jobs=3)),
        ("dask", Where(cluster=HERE)),
        ("dask:2", Where(jobs=2, cluster=HERE)),
        ("dask://lab-1:8786", Where(cluster="tcp://lab-1:8786")),
        ("tls://10.0.0.1:8786", Where(cluster="tls://10.0.0.1:8786")),
        ("dask://[::1]:8786", Where(cluster="tcp://[::1]:8786")),
    ],
)
def test_who_does_the_work(text: str, where: Where) -> None:
    assert where_of(text) == where


def test_a_scheduler_file_is_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text("{}")
    assert where_of(str(path)) == Where(cluster=str(path))


@pytest.mark.parametrize(
    "text", ["", "local:0", "local:x", "dask://", "dask://lab", "dask://lab:99999", "spark://a:1"]
)
def test_anything_else_is_told_what_there_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"none of local, local:N, dask, dask:N, dask://HOST:PORT"):
        where_of(text)


@pytest.mark.parametrize(
    ("label", "path", "found"),
    [
        ("device=pixel-7", "anything.mitm", {"device": "pixel-7"}),
        ("captures/{device}/*.mitm", "captures/pixel-7/a.mitm", {"device": "pixel-7"}),
        ("captures/{device}/*.mitm", "/data/captures/p/a.mitm", {"device": "p"}),
        ("captures/{device}/*.mitm", "captures/p/q/a.mitm", {}),
        ("captures/{device}/*.mitm", "old-captures/p/a.mitm", {}),
        ("{device}/**/*.mitm", "p/q/r/a.mitm", {"device": "p"}),
        ("lab/{device}/**/*.mitm", "s3://b/lab/p/q/r/a.mitm", {"device": "p"}),
        ("lab/{device}/**/*.mitm", "s3://b/lab/p/a.mitm", {"device": "p"}),
        ("{device}-{day}.mitm", "x/p-2026.mitm", {"device": "p", "day": "2026"}),
        ("{device}.m?tm", "x/a.b.mitm", {"device": "a.b"}),
    ],
)
def test_labels_of_captures(label: str, path: str, found: dict[str, str]) -> None:
    assert is_label(label)
    assert labels_of(path, [label_of(label)]) == found


def test_of_several_labels_the_last_counts() -> None:
    labels = [label_of("device=any"), label_of("{device}/*.har"), label_of("lab=one")]
    assert labels_of("p/a.har", labels) == {"device": "p", "lab": "one"}
    assert labels_of("a.har", labels) == {"device": "any", "lab": "one"}


@pytest.mark.parametrize("text", ["=x", "device=", "a b=c", "x/{}/y", "x/{a b}/y", "{a}/{a}", "{"])
def test_what_is_no_label(text: str) -> None:
    with pytest.raises(ValueError, match="label"):
        label_of(text)


def test_a_name_of_a_run_is_no_label() -> None:
    assert not is_label("nightly")
