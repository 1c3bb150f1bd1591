"""This module weighs the load of a scheduler or an executor against prompt tokens that are not cached there."""

# A running sequence slows its executor down about as much as this many prompt tokens that wait to be prefilled. The
# router weighs schedulers and a scheduler weighs its executors by the same number: with two, the router would send a
# request to a scheduler for a prefix that this one then finds too busy to use.
RUNNING_COST_TOKENS = 16
