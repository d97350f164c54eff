"""Enrollment: student_courses, terms, operations and events; every existing row stays as it was.

The columns of revision 1 keep their values. Student number and course code become the id as
text, the family name the name. On SQLite the two tables are made anew with their rows, because
SQLite cannot add a constraint; PostgreSQL alters them in place.

Revision: 0002, after 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
HOURS = sa.Numeric(7, 2)
TIME = sa.DateTime(timezone=True)

STUDENTS_BEFORE = sa.Table(
    "students",
    sa.MetaData(),
    sa.Column("id", ID, nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("email", sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint("id", name="pk_students"),
)
COURSES_BEFORE = sa.Table(
    "courses",
    sa.MetaData(),
    sa.Column("id", ID, nullable=False),
    sa.Column("title", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_courses"),
)


def upgrade() -> None:
    _create_terms()
    _extend_students()
    _extend_courses()
    _create_student_courses()
    _create_operations()
    _create_events()
    if op.get_bind().dialect.name == "postgresql":
        _move_sequences()


def _move_sequences() -> None:
    """Let new ids go on behind those that were given by hand, as SQLite does by itself."""
    for table in ("students", "courses"):
        sequence = f"pg_get_serial_sequence('{table}', 'id')"
        behind = f"(SELECT coalesce(max(id), 0) + 1 FROM {table})"
        op.execute(f"SELECT setval({sequence}, greatest(nextval({sequence}), {behind}), false)")


def _create_terms() -> None:
    op.create_table(
        "terms",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date()),
        sa.Column("ends_on", sa.Date()),
        sa.Column("enroll_from", sa.Date()),
        sa.Column("enroll_until", sa.Date()),
        sa.Column("drop_until", sa.Date()),
        sa.Column("withdraw_until", sa.Date()),
        sa.Column("max_credits", HOURS),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_terms"),
        sa.UniqueConstraint("code", name="uq_terms_code"),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_terms_runs_forward")),
        sa.CheckConstraint("enroll_until >= enroll_from", name=op.f("ck_terms_window_forward")),
        sa.CheckConstraint("max_credits >= 0", name=op.f("ck_terms_max_credits")),
    )
    op.execute("INSERT INTO terms (code, name, time_zone) VALUES ('ALL', 'All courses', 'UTC')")


def _extend_students() -> None:
    with op.batch_alter_table("students", copy_from=STUDENTS_BEFORE) as students:
        students.alter_column("name", existing_type=sa.Text(), nullable=True)
        students.add_column(sa.Column("student_number", sa.Text()))
        students.add_column(sa.Column("given_name", sa.Text(), server_default=""))
        students.add_column(sa.Column("family_name", sa.Text(), server_default=""))
        students.add_column(sa.Column("status", sa.Text(), server_default="active"))
        students.add_column(sa.Column("max_credit_hours", HOURS))
        students.add_column(
            sa.Column("created_at", TIME, server_default=sa.func.current_timestamp())
        )
    op.execute(
        "UPDATE students SET student_number = CAST(id AS TEXT), family_name = name,"
        " given_name = '', status = 'active'"
    )
    with op.batch_alter_table("students", copy_from=_students_between()) as students:
        for column in ("student_number", "given_name", "family_name", "status"):
            students.alter_column(
                column, existing_type=sa.Text(), nullable=False, server_default=None
            )
        students.alter_column("created_at", existing_type=TIME, nullable=False, server_default=None)
        students.create_unique_constraint("uq_students_student_number", ["student_number"])
        students.create_check_constraint(
            op.f("ck_students_status"), "status IN ('active', 'inactive')"
        )
        students.create_check_constraint(
            op.f("ck_students_max_credit_hours"), "max_credit_hours >= 0"
        )


def _students_between() -> sa.Table:
    return sa.Table(
        "students",
        sa.MetaData(),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("student_number", sa.Text()),
        sa.Column("given_name", sa.Text(), server_default=""),
        sa.Column("family_name", sa.Text(), server_default=""),
        sa.Column("status", sa.Text(), server_default="active"),
        sa.Column("max_credit_hours", HOURS),
        sa.Column("created_at", TIME, server_default=sa.func.current_timestamp()),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
    )


def _extend_courses() -> None:
    with op.batch_alter_table("courses", copy_from=COURSES_BEFORE) as courses:
        for column in _course_columns():
            courses.add_column(column)
    op.execute(
        "UPDATE courses SET term_id = (SELECT id FROM terms WHERE code = 'ALL'),"
        " code = CAST(id AS TEXT), section = '1', credit_hours = 0, waitlist_capacity = 0,"
        " status = 'open'"
    )
    between = sa.Table(
        "courses",
        sa.MetaData(),
        sa.Column("id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        *_course_columns(),
        sa.PrimaryKeyConstraint("id", name="pk_courses"),
    )
    required: dict[str, TypeEngine[Any]] = {
        "term_id": ID,
        "code": sa.Text(),
        "section": sa.Text(),
        "credit_hours": HOURS,
        "waitlist_capacity": sa.Integer(),
        "status": sa.Text(),
    }
    with op.batch_alter_table("courses", copy_from=between) as courses:
        for column_name, column_type in required.items():
            courses.alter_column(column_name, existing_type=column_type, nullable=False)
        courses.create_foreign_key(
            "fk_courses_term_id", "terms", ["term_id"], ["id"], ondelete="RESTRICT"
        )
        courses.create_unique_constraint(
            "uq_courses_term_id_code_section", ["term_id", "code", "section"]
        )
        courses.create_check_constraint(
            op.f("ck_courses_status"), "status IN ('open', 'closed', 'cancelled')"
        )
        courses.create_check_constraint(op.f("ck_courses_credit_hours"), "credit_hours >= 0")
        courses.create_check_constraint(op.f("ck_courses_capacity"), "capacity >= 0")
        courses.create_check_constraint(
            op.f("ck_courses_waitlist_capacity"), "waitlist_capacity >= 0"
        )
    op.create_index("ix_courses_code", "courses", ["code"])


def _course_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("term_id", ID),
        sa.Column("code", sa.Text()),
        sa.Column("section", sa.Text()),
        sa.Column("credit_hours", HOURS),
        sa.Column("capacity", sa.Integer()),
        sa.Column("waitlist_capacity", sa.Integer()),
        sa.Column("status", sa.Text()),
    ]


def _create_student_courses() -> None:
    op.create_table(
        "student_courses",
        sa.Column("student_id", ID, nullable=False, autoincrement=False),
        sa.Column("course_id", ID, nullable=False, autoincrement=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("enrolled_on", sa.Date(), nullable=False),
        sa.Column("status_since", sa.Date(), nullable=False),
        sa.Column("queue_place", sa.Integer()),
        sa.Column("grade", sa.Text()),
        sa.PrimaryKeyConstraint("student_id", "course_id", name="pk_student_courses"),
        sa.ForeignKeyConstraint(
            ["student_id"],
            ["students.id"],
            name="fk_student_courses_student_id",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["course_id"],
            ["courses.id"],
            name="fk_student_courses_course_id",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "status IN ('enrolled', 'waitlisted', 'dropped', 'withdrawn', 'completed')",
            name=op.f("ck_student_courses_status"),
        ),
        sa.CheckConstraint(
            "(status = 'waitlisted') = (queue_place IS NOT NULL)",
            name=op.f("ck_student_courses_queue_place"),
        ),
    )
    op.create_index(
        "ix_student_courses_course_id_status", "student_courses", ["course_id", "status"]
    )
    op.create_index(
        "uq_student_courses_course_id_queue_place",
        "student_courses",
        ["course_id", "queue_place"],
        unique=True,
        sqlite_where=sa.text("queue_place IS NOT NULL"),
        postgresql_where=sa.text("queue_place IS NOT NULL"),
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("source_sha256", sa.Text()),
        sa.Column("request_key", sa.Text()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("undone_by", ID),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("totals", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
        sa.UniqueConstraint("request_key", name="uq_operations_request_key"),
        sa.ForeignKeyConstraint(
            ["undone_by"],
            ["operations.id"],
            name="fk_operations_undone_by",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint("outcome IN ('done', 'aborted')", name=op.f("ck_operations_outcome")),
    )
    op.create_index("ix_operations_source_sha256", "operations", ["source_sha256"])


def _create_events() -> None:
    op.create_table(
        "enrollment_events",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("line", sa.Integer()),
        sa.Column("student_id", ID),
        sa.Column("course_id", ID),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("from_status", sa.Text()),
        sa.Column("to_status", sa.Text()),
        sa.Column("queue_place", sa.Integer()),
        sa.Column("grade", sa.Text()),
        sa.Column("code", sa.Text()),
        sa.Column("effective_on", sa.Date()),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("detail", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_events"),
    )
    op.create_index(
        "ix_enrollment_events_student_id_course_id",
        "enrollment_events",
        ["student_id", "course_id"],
    )
    op.create_index("ix_enrollment_events_course_id", "enrollment_events", ["course_id"])
    op.create_index("ix_enrollment_events_operation_id", "enrollment_events", ["operation_id"])
    op.create_table(
        "catalog_events",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("line", sa.Integer()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_events"),
    )
    op.create_index("ix_catalog_events_operation_id", "catalog_events", ["operation_id"])
    op.create_index("ix_catalog_events_kind_record_id", "catalog_events", ["kind", "record_id"])


def downgrade() -> None:
    """Back to the plain schema: names are filled for students added since; enrollments go."""
    for table in ("catalog_events", "enrollment_events", "operations", "student_courses"):
        op.drop_table(table)
    op.execute(
        "UPDATE students SET name = trim(given_name || ' ' || family_name) WHERE name IS NULL"
    )
    op.drop_index("ix_courses_code", "courses")
    with op.batch_alter_table("courses") as courses:
        courses.drop_constraint("fk_courses_term_id", type_="foreignkey")
        courses.drop_constraint("uq_courses_term_id_code_section", type_="unique")
        for check in ("status", "credit_hours", "capacity", "waitlist_capacity"):
            courses.drop_constraint(op.f(f"ck_courses_{check}"), type_="check")
        for column in _course_columns():
            courses.drop_column(column.name)
    with op.batch_alter_table("students") as students:
        students.drop_constraint("uq_students_student_number", type_="unique")
        for check in ("status", "max_credit_hours"):
            students.drop_constraint(op.f(f"ck_students_{check}"), type_="check")
        students.alter_column("name", existing_type=sa.Text(), nullable=False)
        for name in (
            "student_number",
            "given_name",
            "family_name",
            "status",
            "max_credit_hours",
            "created_at",
        ):
            students.drop_column(name)
    op.drop_table("terms")
