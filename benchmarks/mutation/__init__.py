"""`make mutation`: do the tests of `app.domain` bite? Each mutant is the code with one thing broken on purpose.

The ways to break it are mutmut's (its operators over libcst's tree). What mutmut itself does with them does not fit: it
passes over whatever is decorated and everything outside functions, which here are the tables that decide. So a thin
driver of our own applies them:

    mutants    the list of what can be broken in a module, always in the same order
    reach      which tests run which lines, and how long each takes (coverage)
    tests      how tests are run for it: few examples of hypothesis, always the same ones, the first failure ends it
    warm       a mutant inside a function: a fork of a process that has collected all tests gets other bytecode
    cold       a mutant outside functions: a fork of a process that has not imported our code imports it broken
    results    what is known of each mutant, over as many runs as it takes
    page       docs/MUTATION.md
"""
