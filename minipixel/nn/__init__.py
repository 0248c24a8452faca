"""Parts of models that own weights, and the masks that make them causal."""

from minipixel.nn.conditioning import Conditioning
from minipixel.nn.conv import Conv2d, Pointwise
from minipixel.nn.init import BLANK, Init
from minipixel.nn.masks import causal_mask, colour_groups
from minipixel.nn.module import Module, Parameter
from minipixel.nn.top import Top

__all__ = [
    "BLANK",
    "Conditioning",
    "Conv2d",
    "Init",
    "Module",
    "Parameter",
    "Pointwise",
    "Top",
    "causal_mask",
    "colour_groups",
]
