"""The page of the command line, from its own help."""

import re
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from cyclopts import App
from cyclopts.argument import Argument
from docs.generator.markdown import GENERATED, code, paragraph, sentence, table

from muniment_cli.failure import BAD_INPUT, FAILED
from muniment_cli.main import menu

__all__ = ["cli_page"]

_EXAMPLE = re.compile(r"Example:\s*(?P<example>.*)", re.DOTALL)
_FORMS = ("table", "json", "yaml")


def cli_page() -> str:
    """Every command with its options and its example."""
    return "\n\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield GENERATED
    yield "# The command line"
    yield (
        "Tables are for people; `-o json` and `-o yaml` are for programs. Progress and messages go to standard error, "
        "results to standard output. No colour where standard output is no terminal."
    )
    yield "## Exit codes"
    yield table(
        ("code", "means"),
        (
            ("0", "it worked"),
            (str(FAILED), "it was tried and did not work, or what was looked at is not well"),
            (
                str(BAD_INPUT),
                "what was given, or the state it was given in, does not allow it; nothing was changed",
            ),
            ("130", "Ctrl-C"),
        ),
    )
    yield from _commands(menu(), ("muniment",), 2)


def _commands(app: App, path: tuple[str, ...], depth: int) -> Iterator[str]:
    for name in app:
        if name.startswith("-"):
            continue
        command, words = app[name], (*path, name)
        yield f"{'#' * depth} `{' '.join(words)}`"
        if command.default_command is None:
            yield sentence(paragraph(command.help))
            yield from _commands(command, words, depth + 1)
        else:
            yield from _command(command, words)


def _command(command: App, path: tuple[str, ...]) -> Iterator[str]:
    said = command.default_command.__doc__ or ""
    yield paragraph(_EXAMPLE.split(said)[0])
    arguments = list(command.assemble_argument_collection())
    positional = [argument for argument in arguments if _is_positional(argument)]
    yield code(" ".join((*path, *(_placeholder(a) for a in positional), "[options]")))
    if arguments:
        yield table(("option", "meaning", "default"), (_row(argument) for argument in arguments))
    if (found := _EXAMPLE.search(said)) is not None:
        yield f"Example: {paragraph(found['example'])}"


def _is_positional(argument: Argument) -> bool:
    return argument.field_info.kind in (
        argument.field_info.POSITIONAL_ONLY,
        argument.field_info.POSITIONAL_OR_KEYWORD,
    )


def _placeholder(argument: Argument) -> str:
    return argument.name.removeprefix("--").upper()


def _row(argument: Argument) -> tuple[str, str, str]:
    names = ", ".join(code(name) for name in argument.names)
    if _is_positional(argument):
        names = code(_placeholder(argument))
    if get_origin(argument.hint) is Literal:
        names += " " + " or ".join(code(value) for value in get_args(argument.hint))
    return names, argument.parameter.help or "", _default(argument)


def _default(argument: Argument) -> str:
    if argument.required:
        return "required"
    match argument.field_info.default:
        case None:
            return ""
        case bool(value):
            return "yes" if value else "no"
        case value:
            return code(value)
