"""MATLAB files of version 5, whose stated types and sizes are checked."""
