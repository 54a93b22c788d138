"""One record → issues; pure functions, grouped by what they look at."""
