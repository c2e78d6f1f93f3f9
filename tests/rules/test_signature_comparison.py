"""What COS says that it hashed, beside what stands on the wire."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.cos_exchange import CosExchange, read_exchange
from cos_inspect.cos.signature import Signature, encode
from cos_inspect.rules.signature_comparison import SignedContent, compare
from tests.cos.signed_requests import HOST, signed_by_hand
from tests.rules.test_signature import KEYS, group, refusal, refused, string_of

_SAFE = ("-_.~", "/-_.~", "-_.~!'()*/")
_TEXT = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=("Cs", "Cc")), max_size=20
)


def content_of(cos: CosExchange | None) -> SignedContent:
    assert cos is not None
    signature = cos.signature
    assert isinstance(signature, Signature)
    content = compare(cos, signature)
    assert content is not None
    return content


def test_policy_and_request_have_no_content_without_a_time() -> None:
    one = refused(signed_by_hand("a").replace("q-sign-time", "q-signtime"))
    cos = read_exchange(one)
    assert cos is not None
    assert cos.signature is not None
    assert compare(cos, cos.signature) is None


@given(path=_TEXT, name=_TEXT.filter(bool), value=_TEXT, safe=st.sampled_from(_SAFE), plus=...)
def test_what_nobody_changed_agrees_however_it_is_written(
    path: str, name: str, value: str, safe: str, plus: bool
) -> None:
    """No client's way to percent-encode is a change, and the right key finds no mistake."""
    query = f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
    if plus:
        query = query.replace("%20", "+")
    target = f"/{quote(path, safe=safe)}?{query}"
    listed = encode(name).lower()
    text = f"get\n/{path}\n{listed}={encode(value)}\nhost={HOST}\n"
    signed = signed_by_hand(text, parameter_list=listed)
    answer = refusal(text=text, string=string_of(text))
    one = refused(signed, answer, target=target)
    assert content_of(read_exchange(one)).agrees is True
    assert list(group(one)) == ["signature-wrong-key"]
    assert not group(refused(signed, b"", status=200, target=target), keys=KEYS)
