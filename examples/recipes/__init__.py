"""Small programs to begin with: docs/recipes.md says what each is for."""
