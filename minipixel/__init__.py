"""minipixel: the PixelCNN / PixelRNN family from scratch on NumPy, readable and provably causal."""

__version__ = "0.1.0"
