"""Which definitions a page depends on: read from the source of a small package made here."""

import pytest
from dependencies import Package

SOURCES = {
    "__init__.py": '"""The package."""\n__version__ = "1"\n',
    "shapes/__init__.py": '"""A subpackage."""\n',
    "shapes/circles.py": (
        "import math\n"
        "from pack.shapes.units import METRE, scale\n"
        "TABLE = {'area': lambda r: area(r)}\n"
        "def area(r):\n    '''Doc.'''\n    return scale(math.pi * r * r)\n"
        "def rim(r):\n    return 2 * math.pi * r * METRE\n"
        "class Disc:\n    def cover(self):\n        return area(1)\n"
    ),
    "shapes/units.py": (
        "METRE = 1.0\ndef scale(x):\n    return helper(x)\ndef helper(x):\n    return x\n"
        "def unused(x):\n    return -x\n"
    ),
    "noisy.py": "import warnings\nwarnings.simplefilter('ignore')\ndef quiet():\n    return 0\n",
}


@pytest.fixture
def write(tmp_path):
    def write(changes=()):
        for name, text in {**SOURCES, **dict(changes)}.items():
            path = tmp_path / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Package(tmp_path / "pack")

    return write


def names(package, code):
    return {f"{module}.{name}" for module, name in package.dependencies(code) if name not in ("<body>", "math")}


@pytest.mark.parametrize(
    "code",
    [
        "from pack.shapes.circles import area\narea(2)",
        "from pack.shapes import circles\ncircles.area(2)",
        "import pack.shapes.circles\npack.shapes.circles.area(2)",
        "import pack.shapes.circles as c\nprint(c.area(2))",
        "def f():\n    from pack.shapes import circles\n    return [circles.area(r) for r in (1, 2)]",
    ],
)
def test_a_function_brings_what_it_calls_and_nothing_else(write, code):
    assert names(write(), code) == {
        "pack.shapes.circles.area",
        "pack.shapes.units.scale",
        "pack.shapes.units.helper",
    }


def test_a_class_and_a_constant_bring_what_they_name(write):
    area = names(write(), "from pack.shapes.circles import area\narea")
    for name in ("Disc", "TABLE"):
        found = names(write(), f"from pack.shapes import circles\ncircles.{name}")
        assert found == area | {f"pack.shapes.circles.{name}"}


def test_a_module_passed_on_counts_whole(write):
    assert "pack.shapes.units.unused" in names(write(), "from pack.shapes import units\ngetattr(units, name)")


def test_a_star_import_is_refused(write):
    with pytest.raises(ValueError, match=r"from pack\.noisy import \*` hides"):
        write().dependencies("from pack.noisy import *")


CODE = "from pack.shapes import circles\ncircles.area(1)"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("shapes/circles.py", "scale(math.pi * r * r)", "scale(3 * r * r)", True),
        ("shapes/units.py", "return x\n", "return 2 * x\n", True),  # a helper's helper
        ("shapes/circles.py", "'''Doc.'''", "'''Another.'''  # and a comment", False),
        ("shapes/circles.py", "2 * math.pi", "6.28", False),  # another function of the module
        ("shapes/units.py", "return -x", "return +x", False),
        ("shapes/units.py", "METRE = 1.0", "METRE = 2.0", False),
        ("__init__.py", '"""The package."""', '"""The package."""\nprint("hello")', True),  # runs on import
        ("noisy.py", "return 0", "return 1", False),
        ("noisy.py", "import warnings", "import warnings\nimport this", False),
        ("shapes/circles.py", "import math\n", "import math\nimport json\n", False),  # of no use to this code
        ("shapes/circles.py", "import math\n", "import cmath as math\n", True),
        ("shapes/units.py", "METRE = 1.0", "METRE = 1.0\nMETRE += 1", True),  # runs when circles imports it
    ],
)
def test_the_fingerprint_changes_exactly_with_what_the_code_uses(write, file, old, new, changes):
    before = write().fingerprint(CODE)
    assert old in SOURCES[file]
    after = write({file: SOURCES[file].replace(old, new)}).fingerprint(CODE)
    assert (after != before) == changes


def test_a_relative_import_and_a_name_passed_through_are_followed(write):
    package = write(
        {
            "shapes/__init__.py": "from .circles import area\n",
            "outer.py": "from .shapes import area\ndef twice(r):\n    return 2 * area(r)\n",
        }
    )
    for code in ("from pack.outer import twice\ntwice(1)", "from pack import shapes\nshapes.area(1)"):
        assert "pack.shapes.units.helper" in names(package, code)
