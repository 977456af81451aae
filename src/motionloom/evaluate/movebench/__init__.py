"""MoveBench, and benchmarks in its layout: read, checked, added to, exported."""

from motionloom.evaluate.movebench.add import add_case, add_cases, read_case_list
from motionloom.evaluate.movebench.benchmark import Benchmark, Case, open_benchmark
from motionloom.evaluate.movebench.check import Contents, Finding, check, contents
from motionloom.evaluate.movebench.export import export_cases
from motionloom.evaluate.movebench.write import annotate

__all__ = [
    "Benchmark",
    "Case",
    "Contents",
    "Finding",
    "add_case",
    "add_cases",
    "annotate",
    "check",
    "contents",
    "export_cases",
    "open_benchmark",
    "read_case_list",
]
