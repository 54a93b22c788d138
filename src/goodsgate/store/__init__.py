"""Where everything is kept: the contract, the contract enforced, and its implementations."""
