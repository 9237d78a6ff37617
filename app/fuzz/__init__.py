"""The deterministic harness: the real actors, session and journal under virtual time, over simulated exchanges.

One seed is one run: which faults, which kills, which interleavings. Nothing of the run depends on anything else, so a
seed that fails can be played again and read as a timeline.

- `scheduler`  virtual time, chosen interleavings, deaths and stalls of actors
- `faults`     what can go wrong between a connector and its exchange, and when
- `exchange`   simulated exchanges: the truth; `sim_orders` an order there, `account` money, margin and positions
- `runner`     the port over a simulated exchange
- `record`     what happened, as facts
- `plan`       what a seed means: orders, faults, kills
- `ill_plan`   what it means where exchanges are ill for minutes, and looked at as rarely as in production
- `book_plan`  what it means where positions count: policies, accounts, trades of others, verbs
- `strategy`   strategies that place, cancel, ask and re-send
- `verbs`      a person who asks things of the whole router
- `watched`    the journal, in which an actor may die in the middle of a write
- `world`      all of it together
- `checker`    the invariants, judged by strategies' histories and the exchanges' truth alone
- `checker_again`  whether what is sent again keeps the id by which its exchange knows it
- `checker_carry`, `checker_moves`   the same where orders and positions go with trading
- `checker_ill`  whether trading left an exchange that was ill in time, and none without a reason
- `model`      the router as its user is promised it, in the simplest code there is: answers have to be its answers
- `exposure`   how much of each order is open, at every instant
- `secrecy`    whether a secret of the connectors' gets out
- `rules`      every rule, and which invariant it holds
- `by_hand`    a world without a plan, played step by step
- `run_log`    what actors log, as facts
- `quiet`      when nothing at all is wrong in a run, and there is one right answer
- `story`      a run as a timeline for people
- `prose`      a run in sentences: only what a violated rule is about
- `run`        one seed, many seeds
- `case`       a run written down, which does not depend on what seeds mean
- `parts`, `shrink`, `kept`  what fails is made small, told, and kept
- `reached`    where runs have been; `step_plan` what waits for a step of a switch, so that they get there
- `disk`, `vfs`  a disk that loses what was not synced, under SQLite; `sim_disk`, `disk_journal`, `disk_plan`, `machine`
  a run on it, and `checker_disk` what a power cut may take
- `exhaust`, `exhaust_*`  every order of events in small scopes
- `settings`, `profiles`  what actors are configured with, and how rough a run is
- `operator`   a person who asks for failovers; `own_network` our own line
- `leaks`, `fill_check`, `checker_book`, `checker_news`  what is left over, fills, the book, and the order of news
"""
