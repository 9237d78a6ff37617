"""A soak of the transport: messages for a long while, random deaths, and nothing that grows."""
