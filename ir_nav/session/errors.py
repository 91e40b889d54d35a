"""The session's one error."""


class SessionError(Exception):
    """A command cannot be carried out now; the message is shown to the user as it stands."""
