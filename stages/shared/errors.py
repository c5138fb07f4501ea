"""The error for everything that the user can mend."""


class UserError(Exception):
    """A mistake that the user can mend: shown as its message alone, without a traceback."""


HOW_TO_RESTORE = "`dvc checkout` or `dvc pull` restores it, `dvc repro` makes it again"
