"""The console in the machine's own Chromium."""
