"""The only rooms that know ccxt: the port, its adapter, and the tables of what each exchange's words mean."""
