"""Tests of hypotheses and intervals, in plain Python: no command should wait for a library to answer `cnn compare`."""
