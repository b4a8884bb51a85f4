"""Lives to test: `life` on both runtimes, with the company that makes and serves it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lives.kit import CPYTHON, MICROPYTHON, Company, Foundry, Life, Runtime
from thermokeeper.contract.schemas import Version

NewLife = Callable[..., Life]
Founded = Callable[[Runtime, bool], tuple[Path, dict[str, Version]]]


@pytest.fixture(scope="session")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    """Releases and images, made once."""
    return Foundry(tmp_path_factory.mktemp("foundry"))


# what MicroPython lives through, CPython nearly always does, too: at the product's own pace, and measured
@pytest.fixture(params=[MICROPYTHON, pytest.param(CPYTHON, marks=pytest.mark.whole)], ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """What the board runs on."""
    found: Runtime = request.param
    return found


@pytest.fixture(scope="session")
def founded(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """Companies to begin with, as `Company` takes them: by runtime, with or without release 1.0.0."""

    @functools.cache
    def found(runtime: Runtime, published: bool) -> tuple[Path, dict[str, Version]]:
        folder = tmp_path_factory.mktemp("company")
        company = Company(folder, foundry, runtime)
        if published:
            company.publish("1.0.0")
        company.close()
        return folder, company.versions

    return found


@pytest.fixture
def company(
    request: pytest.FixtureRequest, runtime: Runtime, foundry: Foundry, founded: Founded, tmp_path: Path
) -> Iterator[Company]:
    """A vendor with its server; nothing is published but what a `life` has."""
    company = Company(tmp_path, foundry, runtime, founded(runtime, "life" in request.fixturenames))
    yield company
    company.close()


@pytest.fixture
def new_life(company: Company, tmp_path: Path) -> Iterator[NewLife]:
    """Makes boards that aren't written yet: `new_life(serial=..., register=False)`."""
    lives: list[Life] = []

    def make(**options: object) -> Life:
        lives.append(Life(tmp_path, company, **options))  # type: ignore[arg-type]
        return lives[-1]

    yield make
    for life in lives:
        life.off()
    for life in lives:
        life.kept_within_memory()


@pytest.fixture
def life(new_life: NewLife, company: Company) -> Life:
    """A board that was made with release 1.0.0, which is published; it isn't on yet."""
    if "1.0.0" not in company.versions:
        company.publish("1.0.0")
    return new_life().made()
