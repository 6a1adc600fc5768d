"""Result files: a test's figures, what they depend on, and comparison."""
