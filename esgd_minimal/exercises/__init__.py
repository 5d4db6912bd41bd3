"""Checkers of the book's exercises: each answers "Yes" and why, or a hint."""
