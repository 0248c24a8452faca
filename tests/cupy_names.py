"""The names of CuPy that the package uses, found in its source, and those that the stand-in's list does not have."""

import ast
from pathlib import Path

import minipixel

FOLDER = Path(minipixel.__file__).parent
BESIDE = {
    "RawModule": "code options",
    "RawModule.get_function": "name",
    "RawKernel.__call__": "grid block args shared_mem",
    "add.at": "",
    "cublas.gemm": "transa transb a b out alpha beta",
    "cuda": "",
    "cuda.Device": "device",
    "cuda.Device.use": "",
    "cuda.Graph.launch": "stream",
    "cuda.cublas": "",
    "cuda.cublas.setMathMode": "",
    "cuda.device": "",
    "cuda.device.get_cublas_handle": "",
    "cuda.Stream": "null non_blocking",
    "cuda.Stream.__enter__": "",
    "cuda.Stream.begin_capture": "mode",
    "cuda.Stream.end_capture": "",
    "cuda.memory.OutOfMemoryError": "",
    "cuda.runtime": "",
    "cuda.runtime.CUDARuntimeError": "",
    "cuda.runtime.driverGetVersion": "",
    "cuda.runtime.getDevice": "",
    "cuda.runtime.getDeviceCount": "",
    "cuda.runtime.getDeviceProperties": "",
    "special": "",
    "special.erfcx": "",
    "special.expit": "",
    "special.log_ndtr": "",
    "special.ndtr": "",
}
"""By name: the parameters that are given, in their order, where CuPy tells them; `special` is cupyx.scipy.special."""
OF_OBJECTS = {
    *("RawModule.get_function", "RawKernel.__call__", "cublas.gemm", "cuda.Device.use", "cuda.Graph.launch"),
    *("cuda.Stream.__enter__", "cuda.Stream.begin_capture", "cuda.Stream.end_capture"),
    *("cuda.memory.OutOfMemoryError", "cuda.runtime.CUDARuntimeError"),
}
"""Those that no expression has in full: of what a call returned, imported by a name, or known by the class's name."""
MAKERS = ("array_module", "_cupy")


class Names(ast.NodeVisitor):
    """The names that a file uses of a device library, with the keywords of calls: {name: set of keywords}."""

    def __init__(self):
        self.found, self._known = {}, {}

    def visit_FunctionDef(self, node):
        outer, self._known = self._known, dict(self._known)
        self.generic_visit(node)
        self._known = outer

    def visit_Assign(self, node):
        self.generic_visit(node)
        name = self._name(node.value)
        for target in node.targets if name is not None else ():
            if isinstance(target, ast.Name):
                self._known[target.id] = name

    def visit_Attribute(self, node):
        name = self._name(node)
        if name and not name.startswith("__"):
            self.found.setdefault(name, set())
        self.generic_visit(node)

    def visit_Call(self, node):
        for name in filter(None, (self._name(node.func), self._name(node))):
            self.found.setdefault(name, set())
        if name := self._name(node.func):
            self.found[name].update(keyword.arg for keyword in node.keywords if keyword.arg)
        self.generic_visit(node)

    def _name(self, node):
        """What a device library calls the value of an expression: "" for itself, None for any other value."""
        if isinstance(node, ast.Name):
            return "" if node.id in ("xp", "cupy") else self._known.get(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "getattr":
                name = node.args[1]
                return self._below(self._name(node.args[0]), getattr(name, "value", f"<{ast.unparse(name)}>"))
            return {"special": "special"}.get(node.func.id, "" if node.func.id in MAKERS else None)
        if isinstance(node, ast.Attribute):
            return "" if node.attr == "xp" else self._below(self._name(node.value), node.attr)
        return None

    @staticmethod
    def _below(name, attribute):
        return None if name is None else f"{name}.{attribute}" if name else attribute


def names_in(text):
    """The names of CuPy in a source, with the keywords that they are given."""
    names = Names()
    names.visit(ast.parse(text))
    return names.found


def names_used():
    """The same for the whole package without the stand-in: {name: (keywords, files)}."""
    used = {}
    for path in sorted(FOLDER.rglob("*.py")):
        if "stand_in" not in path.parts:
            for name, keywords in names_in(path.read_text(encoding="utf-8")).items():
                of_all, files = used.setdefault(name, (set(), set()))
                of_all |= keywords
                files.add(str(path.relative_to(FOLDER)))
    return used
