"""The two errors with a name of their own. Everything else that is wrong with an argument is a plain ValueError."""


class FormatError(ValueError):
    """A file is not what it claims to be; the message names the file, what was wrong and what was expected."""


class CausalityError(ValueError):
    """A model reads a sub-pixel that is drawn later; the message names the first offending pair."""
