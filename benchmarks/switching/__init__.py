"""What a switch costs, measured on real processes and real HTTP, and judged by the exchanges' own books.

`dead` measures from the moment an exchange dies to the first order that the backup accepts, beside a plain loop over
ccxt. `planned` moves orders and positions from exchange to exchange and back, and looks at the net exposure meanwhile.
"""
