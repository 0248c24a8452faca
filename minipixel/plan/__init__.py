"""The plan: a traced model as a table of row instructions, which trains at full speed whatever the model.

value, values: what is computed; groups: what goes row by row together, and what of it is kept; forward, adjoint, code:
the instructions; memory, weights: where things stand; table: all of it as numbers; interpreter: what instructions mean;
executor, packed, engine: who runs them, with which weights, and when a table is made anew (unchanged).
"""

from minipixel.plan.engine import ready, table_of
from minipixel.plan.executor import interpreted, poisoned, whole_maps
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table
from minipixel.plan.weights import UnplannedError

__all__ = ["Ready", "Table", "UnplannedError", "interpreted", "poisoned", "ready", "table_of", "whole_maps"]
