"""Where tasks are done: in this process, and in several."""

import os
from functools import partial
from pathlib import Path

import pytest

from cos_inspect.analyze.executors import Executor, InProcess, ProcessPool, TaskLostError
from cos_inspect.analyze.run import near_executor


def doubled(number: int) -> int:
    return 2 * number


def failing(_number: int) -> int:
    raise LookupError("as tasks may")


def ended(number: int) -> int:
    os._exit(number)


def ended_once(mark: Path, number: int) -> int:
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return number


@pytest.mark.parametrize("make", [InProcess, partial(ProcessPool, 2)])
def test_results_and_what_is_raised(make: type[InProcess]) -> None:
    executor: Executor
    with make() as executor:
        submitted = [executor.submit(doubled, number) for number in range(5)]
        bad = executor.submit(failing, 1)
        assert [executor.gather(each) for each in submitted] == [0, 2, 4, 6, 8]
        with pytest.raises(LookupError, match="as tasks may"):
            executor.gather(bad)


def test_a_process_that_is_ended_costs_its_task_alone(tmp_path: Path) -> None:
    with ProcessPool(2) as executor:
        deadly = executor.submit(ended, 1)
        others = [executor.submit(doubled, number) for number in range(3)]
        with pytest.raises(TaskLostError):
            executor.gather(deadly)
        assert [executor.gather(each) for each in others] == [0, 2, 4]
    with ProcessPool(2) as executor:
        once = executor.submit(ended_once, tmp_path / "ended", 7)
        assert executor.gather(once) == 7


def test_what_no_other_process_sees_is_read_in_this_one() -> None:
    assert isinstance(near_executor(4, ["memory://captures/one.mitm"]), InProcess)
    assert isinstance(near_executor(1, ["one.mitm"]), InProcess)
