//! Celery's beat: tasks sent on a schedule.

pub mod schedule;
