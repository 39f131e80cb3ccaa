//! Personal data: what in columns and texts is about a person, and of which class it is.
