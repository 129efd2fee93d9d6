-- Orders of lists that the planner could only reach by reading and dropping rows, and a lighter row of the log.

-- Both columns the same way: one comparison of the pair is then one place in the index.
drop index audit_log__action;
create index audit_log__action on audit_log (action, id);

-- Deleted users are few: in order of a name, a walk over everybody's names would drop most of what it reads.
create index users__deleted_username on users (username_key) where deleted_at is not null;
create index users__deleted_email on users (email_key) where deleted_at is not null;

-- Both rows are written by one statement, and none of the log is ever deleted: the check locked and so rewrote each
-- new row of the log, and guarded nothing.
alter table audit_personal drop constraint audit_personal_audit_id_fkey;
