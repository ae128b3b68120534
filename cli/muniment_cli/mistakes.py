"""Mistakes on a command line, in a person's words, with the help that shows how it is meant."""

from collections.abc import Sequence

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError

__all__ = ["help_for", "in_words", "whole_number"]


def in_words(error: CycloptsError) -> str:
    """What was wrong with a command line, one sentence."""
    match error:
        case MissingArgumentError() if error.argument is not None:
            name = error.keyword or error.argument.name
            if error.keyword is not None:
                return f"{name} needs a value."
            is_positional = error.argument.field_info.is_positional
            return f"{name.removeprefix('--').upper() if is_positional else name} is missing."
        case UnusedCliTokensError():
            return f"This is too much: {' '.join(error.unused_tokens or ())}."
        case CoercionError() if error.argument is not None and error.token is not None:
            kind = getattr(error.target_type, "__name__", "value")
            wanted = "a whole number" if kind == "int" else f"a {kind}"
            return f"{error.argument.name} takes {wanted}, not {error.token.value!r}."
    return str(error).strip()


def help_for(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Where the command that was meant explains itself."""
    chain = list(error.command_chain or ())
    known = chain if list(arguments[: len(chain)]) == chain else []
    return f"See `{' '.join(('muniment', *known))} --help`."


def whole_number(kind: object, tokens: Sequence[object]) -> int:
    """Convert a word of a command line to an int; 1.5 is none, and is not rounded.

    Raises:
        ValueError: it is none.
    """
    return int(str(getattr(tokens[0], "value", tokens[0])))
