"""XML out and in. The documents come from tests, so the plain parser will do."""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.origin.errors import OriginError

Value = str | int | Iterable["Node"]
Node = tuple[str, "Value"]

HEAD = "<?xml version='1.0' encoding='utf-8' ?>\n"


def _write(node: Node, depth: int) -> str:
    name, value = node
    indent = "\t" * depth
    if isinstance(value, str | int):
        return f"{indent}<{name}>{escape(str(value))}</{name}>\n"
    inside = "".join(_write(child, depth + 1) for child in value)
    return f"{indent}<{name}>\n{inside}{indent}</{name.split(' ')[0]}>\n"


def document(name: str, *children: Node) -> bytes:
    """A document. ``name`` may carry attributes behind a space."""
    return (HEAD + _write((name, children), 0)).encode()


def parse(data: bytes) -> ElementTree.Element:
    """The root element, with namespaces taken off every name."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as problem:
        raise OriginError("MalformedXML", str(problem)) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text(element: ElementTree.Element, name: str) -> str:
    """The stripped text of a child, empty where there is none."""
    return (element.findtext(name) or "").strip()
