"""Undoing: an operation is taken back by a new one, exactly, promotions included."""

from studentcli.services.undoing.operations import Undone, undo_operation

__all__ = ["Undone", "undo_operation"]
