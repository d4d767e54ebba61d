"""Tools for those who maintain the project. Nothing here is part of the wheel."""
