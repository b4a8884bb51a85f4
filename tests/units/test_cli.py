"""The command `thermokeeper` itself: what it lists is there, help is quick, and trouble is one line."""

import importlib
import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from thermokeeper import cli
from thermokeeper.errors import ToolError


def _failing(error: BaseException) -> click.Command:
    @click.command()
    def fail() -> None:
        raise error

    return fail


def _run_main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["thermokeeper", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr()


@pytest.mark.parametrize("name", cli.PARTS)
def test_a_listed_command_is_there_and_says_the_same_of_itself(name):
    command = cli.load(name)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == cli.PARTS[name].help


@pytest.mark.parametrize("name", cli.PARTS)
def test_every_command_and_option_below_has_help(name):
    def look(command, path):
        assert command.help, f"{path} has no help"
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{path} {option.opts[0]} has no help"
        for inner in getattr(command, "commands", {}).values():
            look(inner, f"{path} {inner.name}")

    look(cli.load(name), name)


@pytest.mark.parametrize("name", cli.PARTS)
def test_help_ends_no_sentence_with_dots(name):
    def look(command, path):
        said = CliRunner().invoke(command, ["--help"]).output
        assert "..." not in said.partition("\n")[2], f"{path}\n{said}"
        for inner in getattr(command, "commands", {}).values():
            look(inner, f"{path} {inner.name}")

    look(cli.load(name), name)


def test_every_command_of_a_part_is_listed():
    for module in {part.module for part in cli.PARTS.values()}:
        for command in importlib.import_module(module).GROUPS:
            assert cli.PARTS[command.name].module == module


def test_help_imports_no_part():
    code = (
        "import sys; from thermokeeper import cli; from click.testing import CliRunner\n"
        "result = CliRunner().invoke(cli.cli, ['--help']); assert result.exit_code == 0, result.output\n"
        "heavy = {'fastapi', 'sqlalchemy', 'cryptography', 'esptool', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tools_error_is_one_line_and_status_1(monkeypatch, capsys):
    monkeypatch.setattr(cli, "load", lambda name: _failing(ToolError("no such file: x.rel; build it first")))
    status, said = _run_main(monkeypatch, capsys, "release")
    assert status == 1
    assert said.err == "thermokeeper: no such file: x.rel; build it first\n"
    assert said.out == ""


def test_trouble_with_a_file_or_the_disk_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "load", lambda name: _failing(OSError(28, "No space left on device", "/there/flash.bin")))
    status, said = _run_main(monkeypatch, capsys, "sim")
    assert (status, said.err) == (1, "thermokeeper: /there/flash.bin: No space left on device\n")


def test_ctrl_c_leaves_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(cli, "load", lambda name: _failing(KeyboardInterrupt()))
    status, said = _run_main(monkeypatch, capsys, "sim")
    assert status == 130
    assert "Traceback" not in said.err


def test_an_unknown_command_is_a_usage_error(monkeypatch, capsys):
    status, said = _run_main(monkeypatch, capsys, "relaese")
    assert status == 2
    assert "No such command 'relaese'" in said.err


def test_an_error_of_the_program_is_not_hidden(monkeypatch, capsys):
    monkeypatch.setattr(cli, "load", lambda name: _failing(ZeroDivisionError()))
    monkeypatch.setattr(sys, "argv", ["thermokeeper", "release"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_the_version_is_the_packages():
    assert CliRunner().invoke(cli.cli, ["--version"]).output == f"thermokeeper {version('thermokeeper')}\n"
