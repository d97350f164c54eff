"""The rule book: what the registration rules read; every existing row stays as it was.

Columns are added in place on both engines, each with its check beside it: a table of a million
enrollments is not copied.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime(timezone=True)

COLUMNS = (
    ("students", "tags", "TEXT"),
    ("terms", "grades", "TEXT"),
    ("terms", "max_waitlists", "INTEGER CONSTRAINT {ck} CHECK (max_waitlists >= 0)"),
    ("courses", "requires", "TEXT"),
    ("courses", "corequisites", "TEXT"),
    ("courses", "meetings", "TEXT"),
    ("courses", "restricted", "TEXT"),
    ("courses", "reserved", "TEXT"),
    ("courses", "repeats", "INTEGER CONSTRAINT {ck} CHECK (repeats >= 0)"),
    ("courses", "enroll_from", "DATE"),
    (
        "courses",
        "enroll_until",
        "DATE CONSTRAINT ck_courses_window_forward CHECK (enroll_until >= enroll_from)",
    ),
    ("courses", "drop_until", "DATE"),
    ("courses", "withdraw_until", "DATE"),
    (
        "student_courses",
        "instead_of_id",
        "BIGINT CONSTRAINT {ck} CHECK (instead_of_id IS NULL OR status = 'waitlisted')",
    ),
)
"""Table, column, and its definition in the SQL that both engines share."""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, column, definition in COLUMNS:
        spelled = definition.format(ck=f"ck_{table}_{column}")
        spelled = spelled.replace("BIGINT", "INTEGER") if is_sqlite else spelled
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {spelled}")
    _create_holds()
    _create_overrides()


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("student_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("blocks", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date()),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", TIME, nullable=False),
        sa.Column("lifted_by", sa.Text()),
        sa.Column("lifted_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.ForeignKeyConstraint(
            ["student_id"], ["students.id"], name="fk_holds_student_id", ondelete="RESTRICT"
        ),
        sa.CheckConstraint("blocks IN ('add', 'add-drop')", name=op.f("ck_holds_blocks")),
        sa.CheckConstraint("until_on >= from_on", name=op.f("ck_holds_runs_forward")),
    )
    op.create_index("ix_holds_student_id", "holds", ["student_id"])


def _create_overrides() -> None:
    op.create_table(
        "overrides",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("student_id", ID, nullable=False),
        sa.Column("course_id", ID, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until_on", sa.Date()),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("granted_at", TIME, nullable=False),
        sa.Column("revoked_by", sa.Text()),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_overrides"),
        sa.ForeignKeyConstraint(
            ["student_id"], ["students.id"], name="fk_overrides_student_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["course_id"], ["courses.id"], name="fk_overrides_course_id", ondelete="RESTRICT"
        ),
    )
    op.create_index("ix_overrides_student_id_course_id", "overrides", ["student_id", "course_id"])


def downgrade() -> None:
    """Back to 0002: what the rules read goes, and so do pending swaps; enrollments stay."""
    op.drop_table("overrides")
    op.drop_table("holds")
    # SQLite drops no column that another column's check names: the later one goes first.
    for table, column, _ in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
