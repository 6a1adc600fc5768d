#!/usr/bin/env python3
"""Find people again in pictures and videos; installed as mmps-search."""

from mmps.cli.search import main

if __name__ == '__main__':
    main()
