"""Tests of the console in the Chromium of this machine."""
