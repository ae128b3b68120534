"""What only the source tells: docstrings below the fields of a class, which Python itself forgets."""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

__all__ = ["field_docs", "literal_docs", "parsed"]


@cache
def parsed(path: Path) -> ast.Module:
    """A source file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def field_docs(cls: type) -> dict[str, str]:
    """What is said below each field of a class or member of an enumeration, its bases' included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules.get(base.__module__)
        file = None if module is None else getattr(module, "__file__", None)
        if file is None or not file.endswith(".py") or "site-packages" in file or base.__module__ == "enum":
            continue
        for node in ast.walk(parsed(Path(file))):
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                docs |= literal_docs(node.body)
    return docs


def literal_docs(body: list[ast.stmt]) -> dict[str, str]:
    """Assignments in a body that a string follows, by name."""
    docs: dict[str, str] = {}
    for assignment, after in pairwise(body):
        name = _assigned(assignment)
        if name and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[name] = inspect.cleandoc(str(after.value.value))
    return docs


def _assigned(statement: ast.stmt) -> str:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""
