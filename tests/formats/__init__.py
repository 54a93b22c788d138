"""Tests of the formats room."""
