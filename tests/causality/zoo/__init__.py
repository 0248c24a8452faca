"""Small foreign models of our own writing, right and leaky twins: what a checker of causality must not misjudge."""
