"""A Thespian system base over Unix-domain sockets: the actors of one host, of one user, and nobody else.

Every actor listens on a socket of its own in one private folder (`folder`). Two actors that talk share one connection,
which begins with a handshake and carries length-prefixed pickles and acknowledgements (`frames`, `link`). An endpoint
has one `switchboard`: one epoll (`waiter`), every connection (`connections`, `door`), and no blocking call but the wait
itself. `transport` is what Thespian sees of it. Against the stock TCP transport: no listener that a network can reach,
three system calls a message instead of forty, and a peer that is stopped holds up nobody but itself.
"""
