"""The plan: a traced model as a table of row instructions, which trains at full speed whatever the model.

The files: value and values have what is computed; groups says which values go through their rows together, and which
are stored; forward, adjoint and code write the instructions; memory and weights say where everything is; table has all
of it as numbers; interpreter defines what instructions mean; executor, packed and engine run them with the present
weights, and unchanged says when a table must be built again.
"""

from minipixel.plan.engine import ready, table_of
from minipixel.plan.executor import interpreted, poisoned, whole_maps
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table
from minipixel.plan.weights import UnplannedError

__all__ = ["Ready", "Table", "UnplannedError", "interpreted", "poisoned", "ready", "table_of", "whole_maps"]
