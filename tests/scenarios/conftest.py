"""Lives to test: `life` on both runtimes, with the company that makes and serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from release_support import write_test_key
from scenarios.kit import CPYTHON, MICROPYTHON, Company, Foundry, Life, Runtime

NewLife = Callable[..., Life]


@pytest.fixture(scope="session")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    """Releases and images, made once."""

    def make_key(path: Path) -> None:
        private, public = write_test_key(path.parent)
        private.rename(path)
        public.rename(path.with_suffix(".pub.pem"))

    return Foundry(tmp_path_factory.mktemp("foundry"), make_key)


@pytest.fixture(params=[MICROPYTHON, CPYTHON], ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """What the board runs on."""
    found: Runtime = request.param
    return found


@pytest.fixture
def company(runtime: Runtime, foundry: Foundry, tmp_path: Path) -> Iterator[Company]:
    """A vendor with its server, and nothing published yet."""
    company = Company(tmp_path, foundry, runtime)
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


@pytest.fixture
def life(new_life: NewLife, company: Company) -> Life:
    """A board that was made with release 1.0.0, which is published; it isn't on yet."""
    company.publish("1.0.0")
    return new_life().made()
