"""What can be wrong with a message or its receiver, whichever transport is used."""


class BadAddressError(ValueError):
    """A text that names no actor, or an address that cannot be used here."""


class FrameTooLargeError(ValueError):
    """A message of ours is larger than any receiver would take."""
