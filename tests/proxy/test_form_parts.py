"""Fields of a form are changed, and every other byte stays."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.proxy.form_parts import read_form

KIND = 'multipart/form-data; boundary="x y"'


def _body(fields: dict[str, str], file: bytes) -> bytes:
    parts = [
        f'--x y\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        b'--x y\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: a/b'
    )
    return b"".join([*parts, head, b"\r\n\r\n", file, b"\r\n--x y--\r\n"])


FIELDS = st.dictionaries(
    st.text("abcdefg-", min_size=1, max_size=6), st.text("ab 你\n", max_size=9), max_size=4
)


@given(fields=FIELDS, changed=FIELDS, file=st.binary(max_size=40))
def test_what_is_changed_is_read_back(
    fields: dict[str, str], changed: dict[str, str], file: bytes
) -> None:
    form = read_form(KIND, _body(fields, file))
    assert form is not None
    assert dict(form.fields) == fields
    again = form.with_fields(changed)
    assert again == _body(
        {name: value for name, value in changed.items() if name not in fields}
        | {name: changed.get(name, value) for name, value in fields.items()},
        file,
    )


def test_fields_go_and_the_file_does_not() -> None:
    form = read_form(KIND, _body({"token": "t", "key": "k"}, b"token"))
    assert form is not None
    assert form.without({"token", "file"}).with_fields({}) != _body({"key": "k"}, b"")
    assert form.without({"token"}).with_fields({}) == _body({"key": "k"}, b"token")


def test_no_form_is_none() -> None:
    assert read_form(None, b"") is None
    assert read_form("text/plain", b"--x--") is None
    assert read_form("multipart/form-data", b"--x--") is None
    assert read_form(KIND, b"--x y\r\n\r\nno end") is None


def test_a_part_named_file_is_the_file_also_without_a_file_name() -> None:
    """As COS takes it, and as the form is read while it passes."""
    body = b'--x y\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x y--\r\n'
    form = read_form(KIND, body)
    assert form is not None
    assert dict(form.fields) == {}
    assert form.with_fields({}) == body


def test_names_are_read_as_while_the_form_passes() -> None:
    body = b"--x y\r\ncontent-disposition:form-data; name=key\r\n\r\na\r\n--x y--\r\n"
    form = read_form(KIND, body)
    assert form is not None
    assert dict(form.fields) == {"key": "a"}
