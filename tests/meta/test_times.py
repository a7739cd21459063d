"""Timestamps, and what is said of texts that are none."""

from __future__ import annotations

import pytest

from argosy.meta import times

LAYOUT = '"2006-01-02T15:04:05Z07:00"'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2024-02-29T01:02:03Z", ""),
        ("2024-02-29T01:02:03.5+01:00", ""),
        ("", f'parsing time "" as {LAYOUT}: cannot parse "" as "2006"'),
        ("2024", f'parsing time "2024" as {LAYOUT}: cannot parse "" as "-"'),
        (
            "2024-1-02T00:00:00Z",
            f'parsing time "2024-1-02T00:00:00Z" as {LAYOUT}: cannot parse "1-02T00:00:00Z" as "01"',
        ),
        ("2024-13-02T00:00:00Z", 'parsing time "2024-13-02T00:00:00Z": month out of range'),
        ("2023-02-29T00:00:00Z", 'parsing time "2023-02-29T00:00:00Z": day out of range'),
        ("2024-01-02T24:00:00Z", 'parsing time "2024-01-02T24:00:00Z": hour out of range'),
        ("2024-01-02T00:00:00", f'parsing time "2024-01-02T00:00:00" as {LAYOUT}: cannot parse "" as "Z07:00"'),
        ("2024-01-02T00:00:00Z2", 'parsing time "2024-01-02T00:00:00Z2": extra text: "2"'),
    ],
)
def test_what_is_wrong_with_a_time(text: str, fault: str) -> None:
    assert times.fault(text, micro=False) == fault


def test_times_of_events_tell_microseconds() -> None:
    assert times.fault("2024-01-02T00:00:00.123456Z", micro=True) == ""
    assert 'cannot parse "Z" as ".000000"' in times.fault("2024-01-02T00:00:00Z", micro=True)
