"""Where exchanges differ, one module each: data, and the few functions that data cannot say."""
