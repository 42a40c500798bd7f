"""Defaults from files, by command, with a stated precedence."""

import json
from pathlib import Path

import pytest

from interaction.command_line.app import main


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file."""
    monkeypatch.setattr(
        "interaction.command_line.config.user_config_path", lambda *_, **__: tmp_path
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.toml"


def run(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(line))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def rows(capsys: pytest.CaptureFixture[str], *line: str) -> dict[str, tuple[object, str]]:
    code, out, err = run(capsys, *line, "--json")
    assert code == 0, err
    return {
        f"{row['command']} {row['option']}": (row["value"], row["from"]) for row in json.loads(out)
    }


def test_the_given_file_wins_over_the_own_one_and_a_table_over_what_is_for_all(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.write_text('device = "cpu"\n[click]\nmodel = "own"\n[propagate]\ntop_k = 7\n', "utf-8")
    given = tmp_path / "given.toml"
    given.write_text('device = "cuda"\n[propagate]\ninternal-size = 240\n', "utf-8")
    found = rows(capsys, "config", "propagate", f"--config={given}")
    assert found["propagate device"] == ("cuda", str(given))
    assert found["propagate internal-size"] == (240, f"{given} [propagate]")
    assert found["propagate top-k"] == (7, f"{own} [propagate]")
    assert found["propagate model"] == ("small", "built in")
    everywhere = rows(capsys, "config")
    assert everywhere["click device"] == ("cpu", str(own))
    assert everywhere["click model"] == ("own", f"{own} [click]")


def test_the_command_line_wins_over_files_wherever_config_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "given.toml"
    given.write_text('[click]\nclick = ["5"]\n', "utf-8")
    # The file's value reaches the command, converted and checked as a typed one would be.
    code, _, err = run(capsys, "--config", str(given), "click", "clip")
    assert (code, "got “5”" in err) == (2, True)
    code, _, err = run(capsys, "click", "clip", "--click", "6", "--config", str(given))
    assert (code, "got “6”" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[click]\nmodle = 1\n", "has no option “modle”"),
        ("devcie = 1\n", "No command has an option “devcie”"),
        ("[clikc]\nmodel = 1\n", "“clikc”"),
        ("device = \n", "is no TOML file"),
    ],
)
def test_a_misspelt_file_is_refused_by_name(
    own: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own.write_text(text, "utf-8")
    code, _, err = run(capsys, "click", "clip", "--click", "6")
    assert code == 1
    assert message in err


def test_a_file_that_is_not_there_is_an_error_only_if_it_was_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(capsys, "config")[0] == 0
    code, _, err = run(capsys, "config", "--config", "nothing.toml")
    assert (code, "cannot be read" in err) == (1, True)
