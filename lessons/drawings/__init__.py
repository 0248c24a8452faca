"""Figures of single lessons, as functions from arrays to a Figure: what they plot with teaches nothing."""
