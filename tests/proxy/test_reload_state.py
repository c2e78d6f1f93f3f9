from cos_inspect.proxy.reload_state import _REMEMBERED, RecentIds


def test_an_id_is_new_once() -> None:
    recent = RecentIds()
    assert recent.add("a")
    assert not recent.add("a")
    recent.discard("a")
    recent.discard("b")
    assert recent.add("a")


def test_the_oldest_is_forgotten() -> None:
    recent = RecentIds()
    for number in range(_REMEMBERED + 1):
        assert recent.add(str(number))
    assert not recent.add(str(_REMEMBERED))
    assert not recent.add("1")
    assert recent.add("0")
