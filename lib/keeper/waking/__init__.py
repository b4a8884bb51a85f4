"""What is done before the application is loaded. A phase: over when the application's import begins."""

from keeper.waking.areas import part_memory  # noqa: F401
