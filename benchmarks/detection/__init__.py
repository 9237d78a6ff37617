"""Which exchange is ill: how soon detectors find out, and how often they are wrong, over simulated months.

`world` is what happens to every call, as a function of exchange, kind and moment, so that every detector meets the same
world. `scenarios` say what breaks in it and what would be right. `anchors` are the rules of others, `ours` is the
router's own detector; `trial` lets each of them choose where to trade. `verdict` makes figures and bars of it, and
`pages` and `svg` write them down.
"""
