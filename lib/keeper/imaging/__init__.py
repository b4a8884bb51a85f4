"""The form of an application image. A phase: loaded while a slot is looked at."""

from keeper.imaging.image import HEADER_SIZE, check, chip_of, length, whole_length  # noqa: F401
