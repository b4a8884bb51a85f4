"""Records beside NVS, in the partition `data`. A phase: loaded where one is kept or taken back."""

from keeper.keeping.records import LIMIT, erase, load, save  # noqa: F401
