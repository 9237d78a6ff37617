"""The demonstration: an exchange dies under a trading strategy, and nothing is lost or doubled.

Nothing in it is arranged for the camera: real daemon, real processes, real clients over HTTP. Only the exchanges are
simulated, which is why their books can be opened at the end and compared with what the strategy was told.

- `strategy`  trades at a steady pace through the router, and keeps a diary
- `diary`     what it asked and what it was told, as lines of JSON
- `keeper`    a process with the exchanges and the temporary folder; it tidies up even when the demo is killed
- `script`    when the exchange in use breaks, how, and when it is well again
- `scene`     everything that is shown, in one place
- `verdict`   diary and journal against the exchanges' own books
- `view`      the live view; `told` plain lines and the last word
- `run`       all of it together
"""
