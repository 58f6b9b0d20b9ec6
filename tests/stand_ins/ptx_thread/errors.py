"""What can go wrong: with a text, or with a thread."""


class PtxError(Exception):
    """The text has something that is not known here."""


class FaultError(Exception):
    """What would end a kernel on a GPU, or give it something that nobody defines."""
