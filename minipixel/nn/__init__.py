"""Layers, the parts of models that own weights, and the masks that make them causal."""

from minipixel.nn.activation import ACTIVATIONS, Dropout, PReLU
from minipixel.nn.conditioning import Conditioning
from minipixel.nn.conv import Conv2d, Pointwise, UnmaskedConv2d
from minipixel.nn.encoding import INPUTS, Encoding, check_inputs
from minipixel.nn.flat import Gradients
from minipixel.nn.gated import GatedLayer, VerticalConv2d
from minipixel.nn.init import BLANK, Blank, Init
from minipixel.nn.masks import causal_mask, colour_groups, vertical_mask
from minipixel.nn.module import Module, NotLoaded, Parameter
from minipixel.nn.shifted import EnlargingConv2d, ShiftedConv2d
from minipixel.nn.top import Top
from minipixel.nn.weight_norm import NormedPointwise, WeightNorm, fitting, fitting_scales

__all__ = [
    "ACTIVATIONS",
    "BLANK",
    "INPUTS",
    "Blank",
    "Conditioning",
    "Conv2d",
    "Dropout",
    "Encoding",
    "EnlargingConv2d",
    "GatedLayer",
    "Gradients",
    "Init",
    "Module",
    "NormedPointwise",
    "NotLoaded",
    "PReLU",
    "Parameter",
    "Pointwise",
    "ShiftedConv2d",
    "Top",
    "UnmaskedConv2d",
    "VerticalConv2d",
    "WeightNorm",
    "causal_mask",
    "check_inputs",
    "colour_groups",
    "fitting",
    "fitting_scales",
    "vertical_mask",
]
