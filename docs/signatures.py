"""Signatures of the reference, with types and defaults as the source has them.

Annotations and defaults are read from the source, not from what Python makes of them. Private aliases are written out,
and shapes lose their wrapping: ``Float[Tensor, "batch *space"]`` becomes ``Tensor[batch, *space]``.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any

KINDS = {"Float": "Tensor", "Shaped": "Tensor", "Num": "Tensor", "Bool": "BoolTensor", "Int": "IntTensor"}
"""What tensors of these dtypes are called."""


def signature_of(documented: Any, homes: Mapping[str, str]) -> tuple[str, str | None] | None:
    """Write the signature of a function, method or class.

    Parameters
    ----------
    documented
        What is documented.
    homes
        The full name under which each public class is documented, by its name.

    Returns
    -------
    tuple or None
        Parameters in parentheses and the type that is returned; None where none is written, as of an enumeration.
    """
    if not callable(documented) or not getattr(documented, "__module__", "").startswith("relaxnet"):
        return None
    annotations, defaults = ({}, {}) if documented.__name__ == "<lambda>" else _as_written(documented)
    if not annotations:
        return None
    signature = inspect.signature(documented)
    parameters = [
        parameter.replace(
            annotation=_Text(_readable(annotations[name], homes)) if name in annotations else inspect.Parameter.empty,
            default=parameter.default if parameter.default is inspect.Parameter.empty else _Text(defaults.get(name)),
        )
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    shown = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    returned = annotations.get("return")
    return str(shown), None if returned is None or inspect.isclass(documented) else _readable(returned, homes)


class _Text:
    """Source text that stands in a signature as it is."""

    def __init__(self, text: str | None) -> None:
        self.text = text or "..."

    def __repr__(self) -> str:
        return self.text


def _as_written(documented: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Find annotations and defaults in the source, by the name of the parameter."""
    if not inspect.isclass(documented):
        return _of_function(*_parsed(documented))
    if is_dataclass(documented) or hasattr(documented, "_fields"):
        found: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for cls in reversed([cls for cls in documented.__mro__ if is_dataclass(cls) or hasattr(cls, "_fields")]):
            for known, new in zip(found, _of_fields(*_parsed(cls)), strict=True):
                known.update(new)
        return found
    for cls in documented.__mro__:
        maker = cls.__dict__.get("__init__")
        if maker is not None and cls.__module__.startswith("relaxnet"):
            return _of_function(*_parsed(maker))
    return {}, {}


def _parsed(documented: Any) -> tuple[Any, str]:
    """Parse the source; give the module that it is from, too, where its names have their meaning."""
    plain = inspect.unwrap(documented)
    return ast.parse(textwrap.dedent(inspect.getsource(plain))).body[0], plain.__module__


def _of_function(function: Any, module: str) -> tuple[dict[str, str], dict[str, str]]:
    arguments = function.args
    ordered = [*arguments.posonlyargs, *arguments.args]
    every = [*ordered, *arguments.kwonlyargs, *filter(None, (arguments.vararg, arguments.kwarg))]
    annotations = {one.arg: _written_out(one.annotation, module) for one in every if one.annotation}
    if function.returns:
        annotations["return"] = _written_out(function.returns, module)
    first = len(ordered) - len(arguments.defaults)
    pairs = [*zip(ordered[first:], arguments.defaults, strict=True)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return annotations, {one.arg: ast.unparse(default) for one, default in pairs if default is not None}


def _of_fields(cls: Any, module: str) -> tuple[dict[str, str], dict[str, str]]:
    fields = [statement for statement in cls.body if isinstance(statement, ast.AnnAssign)]
    annotations = {one.target.id: _written_out(one.annotation, module) for one in fields}
    return annotations, {one.target.id: _made(one.value) for one in fields if one.value is not None}


def _written_out(annotation: Any, module: str) -> str:
    """Write an annotation with what its aliases stand for."""

    class Aliases(ast.NodeTransformer):
        def visit_Name(self, node: Any) -> Any:
            found = _alias(module, node.id)
            return node if found is None else ast.parse(_written_out(*found), mode="eval").body

    return ast.unparse(Aliases().visit(ast.parse(ast.unparse(annotation), mode="eval")))


@cache
def _alias(module: str, name: str) -> tuple[Any, str] | None:
    """Find what an alias or a type variable stands for, and the module that says so."""
    if not module.startswith("relaxnet"):
        return None
    for statement in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(statement, ast.ImportFrom) and any(alias.name == name for alias in statement.names):
            return _alias(statement.module or "", name)
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            value = statement.value
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "TypeVar":
                bounds = [keyword.value for keyword in value.keywords if keyword.arg == "bound"] or value.args[1:]
                text = " | ".join(ast.unparse(bound) for bound in bounds)
                return (ast.parse(text, mode="eval").body, module) if text else None
            return (value, module) if isinstance(value, ast.BinOp | ast.Subscript) else None
    return None


def _made(default: Any) -> str:
    """Show what the default of a field is, not how it is declared."""
    if isinstance(default, ast.Call) and ast.unparse(default.func) == "field":
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in default.keywords}
        factory = given.get("default_factory", "").removeprefix("lambda: ")
        made = {"tuple": "()", "dict": "{}", "list": "[]"}
        return given.get("default") or made.get(factory) or (f"{factory}()" if factory.isidentifier() else factory)
    return ast.unparse(default)


def _readable(annotation: str, homes: Mapping[str, str]) -> str:
    text = re.sub(r"'(\w+)'(?=\]|$)", r"\1", annotation) if "Literal" not in annotation else annotation
    text = re.sub(r"(\w+)\[Tensor, '([^']*)'\]", _shape, text)
    text = re.sub(r"NDArray\[(?:[^\[\]]|\[[^\[\]]*\])*\]", "ndarray", text)
    text = re.sub(r"\b(?:np|torch|nn)\.(?=[A-Za-z])", "", text)
    text = re.sub(r"\b(FitResult|SpatialFit)\[[^\[\]]*\]", r"\1", text)  # of arrays as they came
    text = re.sub(r"\| \(([^()]*)\)", r"| \1", text)
    return re.sub(r"(?<![\w.'])([A-Z]\w+)(?!')", lambda word: homes.get(word[1], word[1]), text)


def _shape(match: re.Match[str]) -> str:
    kind, axes = match.groups()
    names = [name.lstrip("#") for name in axes.split() if name != "..."]
    return KINDS.get(kind, "Tensor") + (f"[{', '.join(names)}]" if names else "")
