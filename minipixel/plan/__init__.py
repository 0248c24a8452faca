"""The plan: a traced model as a table of row instructions, which trains at full speed whatever the model.

values (what is computed) - groups (what goes row by row together, and what is kept) - forward and adjoint (instructions)
- memory, weights (where things stand) - table - interpreter (what instructions mean) - executor, engine (who runs them).
"""

from minipixel.plan.engine import Ready, interpreted, poisoned, ready, table_of, whole_maps
from minipixel.plan.table import Table
from minipixel.plan.weights import Unplanned

__all__ = ["Ready", "Table", "Unplanned", "interpreted", "poisoned", "ready", "table_of", "whole_maps"]
