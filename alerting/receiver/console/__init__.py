"""The pages that people look at: the console behind its sign-in, the run-book and the tickets' own."""
