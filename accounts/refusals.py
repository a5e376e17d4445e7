"""How accounts says no: one error whose sentence a person can read. Who raises it says with which status."""


class Refused(Exception):
    """Somebody could not sign in, or may not go on; `sentence` says why, `status` is the page's."""

    def __init__(self, sentence: str, *, status: int = 403) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
