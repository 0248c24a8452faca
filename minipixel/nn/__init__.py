"""Parts of models that own weights, and the masks that make them causal."""

from minipixel.nn.activation import ACTIVATIONS, Dropout, PReLU
from minipixel.nn.conditioning import Conditioning
from minipixel.nn.conv import Conv2d, Pointwise, UnmaskedConv2d
from minipixel.nn.gated import GatedLayer, VerticalConv2d
from minipixel.nn.init import BLANK, Init
from minipixel.nn.masks import causal_mask, colour_groups, vertical_mask
from minipixel.nn.module import Module, Parameter
from minipixel.nn.top import Top

__all__ = [
    "ACTIVATIONS",
    "BLANK",
    "Conditioning",
    "Conv2d",
    "Dropout",
    "GatedLayer",
    "Init",
    "Module",
    "PReLU",
    "Parameter",
    "Pointwise",
    "Top",
    "UnmaskedConv2d",
    "VerticalConv2d",
    "causal_mask",
    "colour_groups",
    "vertical_mask",
]
