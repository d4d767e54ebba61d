"""The clients of examples/ in every language, beside one gateway that is killed and drained."""
