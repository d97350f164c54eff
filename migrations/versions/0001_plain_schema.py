"""The plain schema from before enrollment: students and courses.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "students",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
    )
    op.create_table(
        "courses",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_courses"),
    )


def downgrade() -> None:
    op.drop_table("courses")
    op.drop_table("students")
