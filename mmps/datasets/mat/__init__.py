"""MATLAB files of version 5, read without believing what they state."""
