"""Run by gooseBit's own Python: its tables, and so many devices that are registered. `fill_goosebit.py DEVICES`."""

import asyncio
import sys

from goosebit.db.config import TORTOISE_CONF  # type: ignore[import-not-found]
from goosebit.db.models import Device, Hardware, UpdateStateEnum  # type: ignore[import-not-found]
from tortoise import Tortoise  # type: ignore[import-not-found]


async def fill(devices: int) -> None:
    await Tortoise.init(config=TORTOISE_CONF)
    await Tortoise.generate_schemas()
    hardware = await Hardware.create(model="default", revision="default")
    await Device.bulk_create(
        Device(id=f"load-{number}", hardware=hardware, last_state=UpdateStateEnum.FINISHED) for number in range(devices)
    )
    await Tortoise.close_connections()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
