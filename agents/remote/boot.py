# Runs first on a host, inside the stub of agents.bootstrap, with `d` bound to the payload:
# {"modules": {name: source}, "main": name, "extra": {...}}. Makes the shipped sources
# importable from memory and hands over to the main module. Importing it does nothing.
import sys
from _frozen_importlib import ModuleSpec


class MemoryFinder:
    """Imports the shipped modules; their packages hold nothing else."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            return ModuleSpec(name, self, is_package=name in ("agents", "agents.remote"))
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        source = self.sources[module.__name__]
        code = compile(source, "<gonogo>/" + module.__name__, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102


def start(payload):
    sys.meta_path.insert(0, MemoryFinder(payload["modules"]))
    __import__(payload["main"])
    sys.modules[payload["main"]].main(sys.argv[1:], payload["extra"])


if "d" in globals():
    start(globals().pop("d"))
