"""What a model file may hold, judged by its syntax tree: arithmetic that gives the same bits on every machine."""

import ast

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.UAdd, ast.BitOr)  # BitOr: `float | None` in types
_CALLS = {"sqrt", "len", "range"}
_REFUSED: dict[type[ast.AST], str] = {
    ast.ClassDef: "a class",
    ast.AsyncFunctionDef: "async",
    ast.Await: "await",
    ast.Lambda: "a lambda",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Try: "try",
    ast.TryStar: "try",
    ast.With: "with",
    ast.Raise: "raise",
    ast.Delete: "del",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Attribute: "an attribute",
    ast.Set: "a set",
    ast.SetComp: "a comprehension",
    ast.ListComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Assert: "assert",
}


def violations(source: str) -> list[str]:
    """What breaks the rules in the text of a model, as "line 3: an import"; empty where nothing does.

    Allowed: `from math import sqrt`, functions and constants, if, for over what is ordered, while, + - * /,
    comparisons, and calls of sqrt, len, range and the file's own functions. Raises SyntaxError.
    """
    tree = ast.parse(source)
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return [f"line {getattr(node, 'lineno', 0)}: {what}" for node in ast.walk(tree) for what in _judge(node, own)]


def _judge(node: ast.AST, own: set[str]) -> list[str]:
    if type(node) in _REFUSED:
        return [_REFUSED[type(node)]]
    if isinstance(node, ast.Import):
        return ["an import"]
    if isinstance(node, ast.ImportFrom):
        wanted = node.module == "math" and [(a.name, a.asname) for a in node.names] == [("sqrt", None)]
        return [] if wanted and node.level == 0 else ["an import other than `from math import sqrt`"]
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp) and not isinstance(node.op, (*_ARITHMETIC, ast.Not)):
        return [f"operator {type(node.op).__name__}"]
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _CALLS | own:
            return ["a call of something else than sqrt, len, range or an own function"]
        return ["a keyword or starred argument"] if node.keywords or _starred(node.args) else []
    if isinstance(node, ast.FunctionDef) and (node.decorator_list or node.args.defaults or node.args.kw_defaults):
        return ["a decorator or default"]
    if isinstance(node, ast.FunctionDef) and node.name in _CALLS:
        return ["a function that hides a built-in one"]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in _CALLS | own:
        return ["a name that hides a function"]
    if isinstance(node, ast.Name) and node.id.startswith("__"):
        return ["a name with two underscores"]
    return []


def _starred(arguments: list[ast.expr]) -> bool:
    return any(isinstance(argument, ast.Starred) for argument in arguments)
