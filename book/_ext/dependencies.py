"""Which definitions of a package a piece of code depends on, by reading the source.

A definition is a top-level function, class or constant. It depends on the definitions that it names,
and so on. What a module does besides defining (its other statements) belongs to everything in it.
The answer errs on the side of too many: a name counts even where a local variable hides it, and a
module used as a whole (passed on, say) counts whole.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

BODY = "<body>"  # the statements of a module that define no name


class Package:
    """The source of a package: its modules, their definitions, and what every name in them stands for."""

    def __init__(self, root: Path):
        self.definitions: dict[str, dict[str, list[ast.stmt]]] = {}  # module → name → statements
        self.bindings: dict[str, dict[str, tuple[str, str | None]]] = {}  # module → name → (module, name)
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

    def imports(self, tree: ast.AST, package: str = "") -> dict[str, tuple[str, str | None]]:
        """The names that `tree` imports from this package, at any depth."""
        found: dict[str, tuple[str, str | None]] = {}
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

    def dependencies(self, code: str) -> set[tuple[str, str]]:
        """All (module, definition) pairs that `code` depends on, directly or through others."""
        tree = ast.parse(code)
        reached: set[tuple[str, str]] = set()
        waiting = list(self._references([tree], self.imports(tree)))
        for module, _ in self.imports(tree).values():  # importing runs the body, whatever is used of it
            waiting.append((module, BODY))
        while waiting:
            module, name = waiting.pop()
            if (module, name) in reached:
                continue
            reached.add((module, name))
            parent = module.rpartition(".")[0]
            waiting.append((module, BODY))
            if parent:
                waiting.append((parent, BODY))
            waiting.extend(self._references(self.definitions[module][name], self.bindings[module]))
        return reached

    def _references(self, nodes: list, bindings: dict[str, tuple[str, str | None]]) -> Iterator[tuple[str, str]]:
        attribute_roots = set()
        for node in (n for top in nodes for n in ast.walk(top)):
            if isinstance(node, ast.Attribute) and (chain := _chain(node)) and chain[0] in bindings:
                attribute_roots.add(id(_root(node)))
                if not isinstance(getattr(node, "ctx", None), ast.Load):
                    continue
                yield from self._resolve(*bindings[chain[0]], chain[1:])
        for node in (n for top in nodes for n in ast.walk(top)):
            if isinstance(node, ast.Name) and node.id in bindings and id(node) not in attribute_roots:
                yield from self._resolve(*bindings[node.id], [])

    def _resolve(self, module: str, name: str | None, rest: list[str]) -> Iterator[tuple[str, str]]:
        """The definitions that module.name.rest may mean."""
        if name is not None:
            if name in self.definitions[module]:
                yield module, name
            elif name in self.bindings[module] and self.bindings[module][name] != (module, name):
                yield from self._resolve(*self.bindings[module][name], rest)
            return
        if not rest:  # the module itself, as a value: all of it
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
    """The names that a top-level statement defines; none for an import or for what only acts."""
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
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _chain(node: ast.expr) -> list[str]:
    """a.b.c as [a, b, c]; empty where the root is not a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []
