"""Result files: what a test found, how it came about, and comparing."""
