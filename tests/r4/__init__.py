"""Tests of the R4 rules and their checker."""
