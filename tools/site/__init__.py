"""The site of `docs/`: the same Markdown files as HTML, with a table of contents and a search."""
