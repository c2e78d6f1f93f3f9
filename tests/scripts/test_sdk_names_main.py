"""Names in the sources of an SDK that the tables do not know."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.sdk_names_main import (
    KINDS,
    SET_ASIDE,
    Kind,
    is_known,
    main,
    names_in,
    set_aside,
    sources,
    unknown,
)

LINES: list[tuple[str, str, Kind, str]] = [
    ("a.go", 'h := "x-cos-brand-new"', "header", "x-cos-brand-new"),
    ("a.java", 'String A = "X-COS-Brand-New";', "header", "x-cos-brand-new"),
    ("a.py", "headers['x-ci-brand-new'] = 1", "header", "x-ci-brand-new"),
    ("a.m", '@"x-cos-brand-new"', "header", "x-cos-brand-new"),
    ("a.go", 'uri: "/?brandnew"', "sub-resource", "brandnew"),
    ("a.go", 'uri: "/?acl&brandnew&id=%s"', "sub-resource", "brandnew"),
    ("a.java", 'request.addParameter("brandnew", null);', "sub-resource", "brandnew"),
    ("a.kt", 'queryParameters.put("brandnew", null)', "sub-resource", "brandnew"),
    ("a.m", 'requestData.URIMethod = @"brandnew";', "sub-resource", "brandnew"),
    ("a.c", 'aos_table_add(query_params, "brandnew", "");', "sub-resource", "brandnew"),
    ("a.cpp", 'AddParam("brandnew", "");', "sub-resource", "brandnew"),
    ("a.js", "  action: 'brandnew',", "sub-resource", "brandnew"),
    ("a.py", "params = {'brandnew': ''}", "sub-resource", "brandnew"),
    ("a.php", "'uri' => '/{Bucket}?brandnew',", "sub-resource", "brandnew"),
    ("a.go", 'X string `url:"brand-new,omitempty"`', "parameter", "brand-new"),
    ("a.cs", 'SetQueryParameter("brand-new", value);', "parameter", "brand-new"),
    ("error_codes.go", 'E = "BrandNewError"', "code", "BrandNewError"),
    ("a.js", "if (err.code === 'BrandNewError') {", "code", "BrandNewError"),
    ("a.java", 'if (e.getErrorCode().equals("BrandNewError"))', "code", "BrandNewError"),
    ("a.py", "'{}.cos-new.{}.myqcloud.com'", "host", "{}.cos-new.{}.myqcloud.com"),
]
KNOWN = [
    ("a.go", 'h := "x-cos-acl"'),
    ("a.go", 'h := "x-cos-meta-" + name'),
    ("a.py", "headers['x-cos-meta-mine'] = 1"),
    ("a.go", 'uri: "/?acl"'),
    ("a.java", 'request.addParameter("versionId", id);'),
    ("errors.go", 'E = "NoSuchKey"'),
    ("a.go", 'n := "BrandNewError"'),
    ("a.go", '"%s.cos.%s.myqcloud.com"'),
    ("a.js", "'{Bucket}.cos.{Region}.myqcloud.com'"),
    ("a.py", "'service.cos.myqcloud.com'"),
    ("a.js", "`${region}.cls.tencentcs.com`"),
]


@pytest.mark.parametrize(("file", "line", "kind", "name"), LINES)
def test_new_names_are_found_in_every_language(
    file: str, line: str, kind: Kind, name: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(f"\n{line}\n", "utf-8")
    found = [(each.kind, each.name, each.first) for each in unknown([tmp_path])]
    assert (kind, name, f"{file}:2") in found


@pytest.mark.parametrize(("file", "line"), KNOWN)
def test_known_names_are_left_out(file: str, line: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(line, "utf-8")
    assert unknown([tmp_path]) == []


def test_tests_and_copies_are_no_sources(tmp_path: Path) -> None:
    for name in ("src", "tests", "demo", "node_modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.js").write_text("'x-cos-brand-new'", "utf-8")
    (tmp_path / "src" / "a.txt").write_text("'x-cos-brand-new'", "utf-8")
    assert [path.parent.name for path in sources(tmp_path)] == ["src"]
    assert len(list(sources(tmp_path, everything=True))) == 4
    assert unknown([tmp_path])[0].times == 1
    assert unknown([tmp_path], everything=True)[0].times == 4


def test_the_python_sdk_has_no_name_that_the_tables_do_not_know() -> None:
    spec = find_spec("qcloud_cos")
    assert spec is not None
    assert spec.origin is not None
    tree = Path(spec.origin).parent
    met = {
        (place.kind, place.name)
        for path in sources(tree)
        for place in names_in(path.read_text("utf-8"), path.name)
    }
    for kind, name in (
        ("header", "x-cos-storage-class"),
        ("sub-resource", "acl"),
        ("sub-resource", "response-control"),
        ("host", "service.cos.myqcloud.com"),
    ):
        assert (kind, name) in met
    assert [each for each in unknown([tree]) if each.kind != "parameter"] == []


def test_what_is_set_aside_says_why_and_is_not_in_the_tables() -> None:
    lines = SET_ASIDE.read_text("utf-8").splitlines()
    cells = [line.split("\t") for line in lines if not line.startswith("#")][1:]
    assert len(cells) == len(set_aside()) > 30
    for kind, name, why in cells:
        assert kind in KINDS
        assert why
        assert not is_known(kind, name), name


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.go").write_text('"x-cos-brand-new" "?new-one=1"', "utf-8")
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "header: 1 unknown to headers.tsv\n  x-cos-brand-new\t1\ta.go:1\n" in printed
    assert "parameter: 1 unknown" in printed
    assert "new-one" not in printed
    assert main([str(tmp_path), "--kind", "parameter"]) == 0
    assert "  new-one\t1\ta.go:1\n" in capsys.readouterr().out


def test_a_tree_without_sources_is_refused(tmp_path: Path) -> None:
    for tree in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SystemExit) as end:
            main([str(tree)])
        assert end.value.code == 2
