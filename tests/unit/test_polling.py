"""The best times to ask at, against which ``Retry-After`` is measured."""

from itertools import combinations

import pytest

from benchmarks.polling import best_median_late, best_schedule

LENGTHS = [1.2, 1.4, 2.7, 3.3, 3.4, 5.9]


def cost(schedule: list[int], price: float) -> float:
    looks = [next((i + 1, look) for i, look in enumerate(schedule) if look >= length) for length in LENGTHS]
    return sum(look / length - 1 + price * polls for (polls, look), length in zip(looks, LENGTHS, strict=True))


@pytest.mark.parametrize("price", [0.02, 0.2, 0.5, 2.0])
def test_no_other_schedule_is_cheaper(price: float) -> None:
    others = [[*some, 6] for count in range(6) for some in combinations(range(1, 6), count)]
    assert cost(best_schedule(LENGTHS, price), price) == pytest.approx(min(cost(other, price) for other in others))


def test_jobs_of_one_length_are_asked_for_once_and_at_its_end() -> None:
    assert best_schedule([4.5] * 10, 0.1) == [5]
    assert best_median_late([4.5] * 10, 1.0) == pytest.approx(5 / 4.5 - 1)


def test_more_polls_learn_earlier() -> None:
    spread = [1.1**number for number in range(1, 35)]
    assert best_median_late(spread, 5.0) < best_median_late(spread, 3.0) < best_median_late(spread, 2.0)
