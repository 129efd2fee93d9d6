-- Orders of lists that the planner could only reach by reading and dropping rows.

-- Both columns the same way: one comparison of the pair is then one place in the index.
drop index audit_log__action;
create index audit_log__action on audit_log (action, id);

-- Closed accounts are few: in order of a name, a walk over everybody's names would drop most of what it reads.
create index users__closed_username on users (username_key) where not is_active;
create index users__closed_email on users (email_key) where not is_active;
