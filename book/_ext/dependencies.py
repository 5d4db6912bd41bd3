"""Which definitions of a package a piece of code depends on, by reading the source.

A definition is a top-level function, class, constant or import. It depends on the definitions that it names,
and so on. What a module does besides defining (its other statements) belongs to everything in it.
The answer errs on the side of too many: a name counts even where a local variable hides it, and a
module used as a whole (passed on, say) counts whole.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

BODY = "<body>"  # the statements of a module that define no name

Definition = tuple[str, str]  # (module, name)
Bindings = dict[str, tuple[str, str | None]]  # what a name stands for: a definition, or with None a module


class Package:
    """The source of a package: its modules, their definitions, and what every name in them stands for."""

    def __init__(self, root: Path):
        self.definitions: dict[str, dict[str, list[ast.stmt]]] = {}  # module → name → statements
        self.bindings: dict[str, Bindings] = {}  # module → name → what it stands for
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.definitions[module] = {BODY: []}
            self.bindings[module] = {}
        for module in self.definitions:
            path = root.parent.joinpath(*module.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            self._read(module, ast.parse(path.read_text(encoding="utf-8")), is_package=path.name == "__init__.py")

    def _read(self, module: str, tree: ast.Module, is_package: bool) -> None:
        for statement in _without_docstrings(tree).body:
            for name in _defined(statement) or [BODY]:
                self.definitions[module].setdefault(name, []).append(statement)
        for name in self.definitions[module]:
            self.bindings[module][name] = (module, name)
        self.bindings[module] |= self.imports(tree, module if is_package else module.rpartition(".")[0])

    def imports(self, tree: ast.AST, package: str = "") -> Bindings:
        """The names that `tree` imports from this package, at any depth."""
        found: Bindings = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    target = alias.name if alias.asname else alias.name.split(".")[0]
                    if target in self.definitions:
                        found[alias.asname or target] = (target, None)
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(filter(None, [base, node.module]))
                for alias in node.names if source in self.definitions else ():
                    if alias.name == "*":
                        raise ValueError(f"`from {source} import *` hides what a page depends on; name what it uses.")
                    submodule = f"{source}.{alias.name}"
                    target = (submodule, None) if submodule in self.definitions else (source, alias.name)
                    found[alias.asname or alias.name] = target
        return found

    def dependencies(self, code: str) -> set[Definition]:
        """All (module, definition) pairs that `code` depends on, directly or through others."""
        tree = ast.parse(code)
        imports = self.imports(tree)
        reached: set[Definition] = set()
        waiting = list(self._references([tree], imports))
        waiting += [(module, BODY) for module, _ in imports.values()]  # an import runs it, whatever is used
        while waiting:
            module, name = waiting.pop()
            if (module, name) in reached:
                continue
            reached.add((module, name))
            if name == BODY:  # importing a module runs those it imports, and the packages that it lies in
                imported = [each for each, _ in self.bindings[module].values()]
                waiting += [(each, BODY) for each in [*imported, module.rpartition(".")[0]] if each]
            waiting.append((module, BODY))
            waiting += self._references(self.definitions[module][name], self.bindings[module])
        return reached

    def _references(self, nodes: Iterable[ast.AST], bindings: Bindings) -> Iterator[Definition]:
        """The definitions that `nodes` name: bare names, and the longest dotted names."""
        for node in nodes:
            root, *rest = _dotted(node)
            if root in bindings:
                yield from self._resolve(*bindings[root], rest)
            elif not root:
                yield from self._references(ast.iter_child_nodes(node), bindings)

    def _resolve(self, module: str, name: str | None, rest: list[str]) -> Iterator[Definition]:
        """The definitions that module.name.rest may mean."""
        if name is not None:
            target = self.bindings[module].get(name)
            if target == (module, name):
                yield target
            elif target is not None:  # a name that the module imports from elsewhere in the package
                yield from self._resolve(*target, rest)
        elif not rest:  # the module itself, as a value: all of it
            yield from ((module, each) for each in self.definitions[module])
        elif f"{module}.{rest[0]}" in self.definitions:
            yield from self._resolve(f"{module}.{rest[0]}", None, rest[1:])
        else:
            yield from self._resolve(module, rest[0], rest[1:])

    def fingerprint(self, code: str) -> str:
        """A digest of the source of everything that `code` depends on; comments, docstrings and layout don't count."""
        digest = hashlib.sha256()
        for module, name in sorted(self.dependencies(code)):
            source = "\n".join(ast.unparse(statement) for statement in self.definitions[module][name])
            digest.update(f"{module}:{name}\n{source}\n".encode())
        return digest.hexdigest()[:16]


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement defines; none for what only acts."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        plain = all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
        return names if plain else []
    return []


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _dotted(node: ast.AST) -> list[str]:
    """The name a.b.c as [a, b, c]; [""] for what is no name."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (start := _dotted(node.value)) != [""]:
        return [*start, node.attr]
    return [""]
