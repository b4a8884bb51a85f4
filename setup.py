"""What pyproject.toml can't say: an installed tool brings along the device's code and the flash maps, as `project/`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
BROUGHT = ("boot.py", "main.py", "lib", "firmware")


class BuildWithProject(build_py):
    """`thermokeeper.files.PROJECT` finds them there where no checkout is around the package."""

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib, "thermokeeper", "project")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in BROUGHT:
            source = HERE / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, target)


setup(cmdclass={"build_py": BuildWithProject})
