"""The kinds of checks that `bindings.toml` can bind to a box, one module a kind of evidence."""
