"""What a bot imports: the router's class, its errors, and the shapes of what it returns."""

from app.process.foreign import refuse_foreign

# Before anything else of ours is imported: a bot may own a package `messages` or `actors`.
refuse_foreign()
