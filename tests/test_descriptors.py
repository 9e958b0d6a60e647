"""Some descriptors are kept for files."""

from __future__ import annotations

import resource

import pytest

from twistmail import descriptors


@pytest.mark.parametrize(("limit", "connections"), [(1024, 512), (16_384, 8192), (20_000, 11_808), (65_536, 57_344)])
def test_connections_leave_half_to_files_but_not_more_than_these_need(limit, connections):
    assert descriptors.for_connections(limit) == connections


@pytest.mark.parametrize(("before", "after"), [
    pytest.param((1024, 4096), 4096, id="as-far-as-it-may"),
    pytest.param((1024, 1_048_576), descriptors.ENOUGH, id="not-beyond-enough"),
    pytest.param((1024, resource.RLIM_INFINITY), descriptors.ENOUGH, id="no-limit-that-binds"),
    pytest.param((100_000, 100_000), 100_000, id="never-lowered"),
    pytest.param((resource.RLIM_INFINITY, resource.RLIM_INFINITY), descriptors.ENOUGH, id="no-limit-at-all"),
])  # fmt: skip
def test_the_limit_is_raised(monkeypatch, before, after):
    limits = [before]
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: limits.append(pair))
    assert descriptors.raise_limit() == after
    assert limits[-1] == before or limits[-1] == (after, before[1])


def test_a_limit_that_cannot_be_raised_is_taken_as_it_is(monkeypatch):
    def refuse(what, pair):
        raise PermissionError

    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert descriptors.raise_limit() == 1024
