"""For other people's tests of what sends or reads mail: real mail servers that start in a second, wait, break and mend on demand."""
