"""The OrderRouter application: everything besides the actors, their messages and the supervisor."""
