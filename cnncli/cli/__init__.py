"""One command a file: translate the arguments, call one function, print what it returns."""
